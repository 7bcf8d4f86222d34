"""Start and end, gates, latency, the command line, the plugin."""

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.testing.listener import Listener
from fusebill_async.testing.serving import parse_quota
from tests.simulator.plain_wire import Wire, ask

PLUGIN = "fusebill_async.testing.plugin"
ROOT = str(Path(__file__).parents[2])
HOLD = ("POST", "/v1/CustomerHold/1")


async def test_nothing_is_left_behind():
    fusebill = FusebillSimulator(customers=1)
    await fusebill.start()
    fusebill.inject(Fault.hang_after_effect(), Fault.late_effect(delay=30, then="hang"))
    wires = [Wire(fusebill.port) for _ in range(3)]
    for wire in wires:
        await wire.__aenter__()
        await wire.send(*HOLD)
    await asyncio.sleep(0.05)
    assert (fusebill.connections, fusebill.open_connections) == (3, 3)
    await fusebill.aclose()
    assert fusebill.open_connections == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(ConnectionRefusedError):
        await ask(fusebill, *HOLD)
    for wire in wires:
        await wire.__aexit__()


async def test_a_loop_without_readers_will_do(monkeypatch):
    """As that of Windows, which can wait for an accept alone."""

    def none(*_):
        raise NotImplementedError

    async def accept(listening):
        while True:
            try:
                return listening.accept()
            except BlockingIOError:
                await asyncio.sleep(0.001)

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", none)
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", accept)
    async with FusebillSimulator(customers=1) as fusebill:
        for _ in range(2):
            assert (await ask(fusebill, "GET", "/v1/customers/1")).status == 200
            fusebill.inject(Fault.refuse())
            with pytest.raises(ConnectionRefusedError):
                await ask(fusebill, "GET", "/v1/customers/1")
            fusebill.clear_faults()
        assert (await ask(fusebill, "GET", "/v1/customers/1")).status == 200
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_second_start_changes_nothing():
    fusebill = await FusebillSimulator(customers=1).start()
    port = fusebill.port
    async with fusebill:
        assert fusebill.port == port
        assert (await ask(fusebill, "GET", "/v1/customers/1")).status == 200


class Exhausted:
    """A listening socket for which there is no descriptor, the first time."""

    def __init__(self, listening):
        self._listening = listening
        self._failed = False

    def accept(self):
        if not self._failed:
            self._failed = True
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listening.accept()

    def __getattr__(self, name):
        return getattr(self._listening, name)


async def test_it_waits_for_descriptors(monkeypatch):
    monkeypatch.setattr(
        Listener, "open", lambda self, listening, right=Listener.open: right(self, Exhausted(listening))
    )
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with FusebillSimulator(customers=1) as fusebill:
        assert (await ask(fusebill, "GET", "/v1/customers/1")).status == 200
        fusebill.inject(Fault.refuse())
        fusebill.clear_faults()
        wire = asyncio.ensure_future(ask(fusebill, "GET", "/v1/customers/1"))
        await asyncio.sleep(0.02)
        assert not wire.done()
    # It was waiting for a descriptor when all ended, and nobody takes that up again.
    with pytest.raises(ConnectionError):
        await wire
    await asyncio.sleep(0.15)
    assert not told


async def test_what_has_ended_does_not_listen_again():
    fusebill = await FusebillSimulator(customers=1).start()
    with socket.create_connection(("127.0.0.1", fusebill.port)):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(fusebill.aclose())
        while not closing.done():
            await asyncio.sleep(0)
            fusebill.clear_faults()
    with pytest.raises(ConnectionRefusedError):
        await ask(fusebill, "GET", "/v1/customers/1")


async def test_the_port_can_be_chosen_and_used_again():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for _ in range(2):
        async with FusebillSimulator(port=port, customers=1) as fusebill:
            assert fusebill.base_url == f"http://127.0.0.1:{port}/v1"
            assert (await ask(fusebill, "GET", "/v1/customers/1")).status == 200


async def test_requests_wait_while_the_gate_is_closed():
    async with FusebillSimulator(customers=1) as fusebill, Wire(fusebill.port) as wire:
        with fusebill.hold_open("hold"):
            assert (await ask(fusebill, "GET", "/v1/customers/1")).status == 200
            await wire.send(*HOLD)
            while not fusebill.held_open:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.01)
            assert (fusebill.received("hold"), fusebill.effects("hold")) == (1, 0)
        assert (await wire.receive()).status == 200
        assert fusebill.effects("hold", 1) == 1


async def test_an_effect_does_not_wait_for_the_latency():
    async with FusebillSimulator(customers=1, latency=0.2) as fusebill, Wire(fusebill.port) as wire:
        started = time.monotonic()
        await wire.send(*HOLD)
        await asyncio.sleep(0.05)
        assert fusebill.effects("hold", 1) == 1
        assert (await wire.receive()).status == 200
        assert time.monotonic() - started >= 0.19


@pytest.mark.parametrize("reset", [False, True])
async def test_idle_connections_can_be_ended(reset):
    async with FusebillSimulator(customers=1) as fusebill, Wire(fusebill.port) as wire:
        await wire.ask(*HOLD)
        fusebill.close_idle_connections(reset=reset)
        if reset:
            with pytest.raises(ConnectionResetError):
                await wire.reader.read()
        else:
            assert await wire.reader.read() == b""


async def test_generated_customers_have_a_mix_of_statuses():
    async with FusebillSimulator(customers=10) as fusebill:
        assert {fusebill.customer(one)["status"] for one in fusebill.customer_ids} == {
            "Draft", "Active", "Hold", "Suspended", "Cancelled",
        }  # fmt: skip
    async with FusebillSimulator(customers=10, customers_status="Draft") as fusebill:
        assert {fusebill.customer(one)["status"] for one in fusebill.customer_ids} == {"Draft"}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_line(tmp_path, stop):
    state = str(tmp_path / "state.sqlite")
    arguments = ["--customers", "5", "--quota", "50/5000", "--state", state, "--status", "Active"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusebill_async.testing", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        url = (await process.stdout.readline()).decode().strip()
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/v1")
        async with Wire(int(url.split(":")[2].removesuffix("/v1"))) as wire:
            answer = await wire.ask(*HOLD)
        assert (answer.json["status"], answer.header("X-Rate-Limit-Limit-Minute")) == ("Hold", "50")
        process.send_signal(stop)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    async with FusebillSimulator(state=state) as fusebill:
        assert fusebill.customer(1)["status"] == "Hold"


def test_quotas_by_name():
    assert parse_quota("Sandbox").per_minute == 50
    assert parse_quota("7/8").per_day == 8
    with pytest.raises(ValueError, match="neither"):
        parse_quota("much")


ASKS_FOR_THE_FIXTURE = """
import pytest

@pytest.mark.asyncio
async def test_it(fusebill_simulator):
    fusebill_simulator.add_customer(id=1, status="Hold")
    assert fusebill_simulator.base_url.startswith("http://127.0.0.1:")
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
async def test_the_plugin(tmp_path, mode):
    (tmp_path / "test_it.py").write_text(ASKS_FOR_THE_FIXTURE)
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"
    )
    # Named with -p unless the entry point has loaded it already.
    loaded = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
    arguments = ["-m", "pytest", "-q", *([] if loaded else ["-p", PLUGIN]), str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": ROOT},
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output


async def test_a_killed_process_loses_no_more_than_a_moment(tmp_path):
    state = str(tmp_path / "state.sqlite")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fusebill_async.testing",
        "--customers",
        "2",
        "--state",
        state,
        stdout=asyncio.subprocess.PIPE,
    )
    url = (await process.stdout.readline()).decode().strip()
    async with Wire(int(url.split(":")[2].removesuffix("/v1"))) as wire:
        assert (await wire.ask(*HOLD)).status == 200
    await asyncio.sleep(0.6)
    process.kill()
    await process.wait()
    async with FusebillSimulator(state=state) as fusebill:
        assert fusebill.customer(1)["status"] == "Hold"
