"""Runs a coroutine function in virtual time over a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from fusebill_async.testing.simulated_network import SimulatedNetwork
from fusebill_async.testing.virtual_time import LIMIT, START, VirtualTimeLoop

T = TypeVar("T")


def run_simulated(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    seed: int = 0,
    network: SimulatedNetwork | None = None,
    start: datetime = START,
    limit: float = LIMIT,
) -> T:
    """Run a coroutine function in virtual time over an in-memory network, and return what it returns.

    A quiet period of 60 s takes no time, and a run with the same seed is the same run, on the same version of Python.
    `FusebillSimulator` and `FusebillClient` need nothing special:

        async def lost_activation():
            async with FusebillSimulator() as fusebill:
                fusebill.add_customer(id=1, status="Draft")
                fusebill.inject(Fault.reset_before_effect(operation="activate", times=1))
                patient = SettlingPolicy(wait=90)
                async with FusebillClient("key", base_url=fusebill.base_url, settling=patient) as client:
                    with pytest.raises(NotAppliedError):  # read twice, a minute apart
                        await client.customers.activate(1, True, True, False)
                assert fusebill.effects("activate", 1) == 0

        def test_lost_activation():
            run_simulated(lost_activation, seed=7)  # takes milliseconds

    `time.time`, `time.monotonic`, `time.sleep`, `random` and `uuid.uuid4` are virtual inside. `datetime.now` is not: it
    cannot be replaced.

    Args:
        main: takes no arguments.
        seed: of everything that is left to chance.
        network: in place of one on which nothing goes wrong.
        start: the wall clock at the beginning.
        limit: seconds of virtual time after which the run is taken for one that never ends.

    Raises:
        SimulationDeadlockError: nothing was scheduled any more. The message names who waits, and where.
        SimulationTooLongError: `limit` was reached.
        NotSimulatedError: it asked for a real socket, a thread or a process.
        RuntimeError: an event loop runs already.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 (documented, and the one way to ask)
        raise RuntimeError("run_simulated() cannot be called from a running event loop")
    loop = VirtualTimeLoop(seed=seed, network=network, start=start, limit=limit)
    try:
        return loop.run_until_complete(main())
    finally:
        loop.wind_up()
