"""Bytes arrive in the order in which they were sent, however they are cut up and whenever they arrive."""

import asyncio

import pytest

from fusebill_async.testing import SimulatedNetwork, run_simulated


@pytest.mark.parametrize("latency", [(0.0005, 0.01), (0.005, 0.005)])
@pytest.mark.parametrize("seed", range(5))
def test_bytes_that_are_cut_up_stay_in_order(latency, seed):
    sent = bytes(range(256)) * 4

    async def main():
        received = asyncio.get_running_loop().create_future()

        async def serve(reader, writer):
            received.set_result(await reader.readexactly(40 * len(sent)))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        for _ in range(40):
            # Much of it arrives in one instant, behind what was slower.
            writer.write(sent)
        assert await received == sent * 40
        writer.close()
        server.close()

    run_simulated(main, seed=seed, network=SimulatedNetwork(split=1.0, latency=latency))
