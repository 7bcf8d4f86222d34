"""The simulator as a program: `python -m fusebill_async.testing`, and `fusebill-async simulate` on it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fusebill_async.models.enums import Status
from fusebill_async.testing.quota import SimulatorQuota
from fusebill_async.testing.simulator import FusebillSimulator

_ACCOUNTS = {
    "live": SimulatorQuota.live,
    "sandbox": SimulatorQuota.sandbox,
    "testdrive": SimulatorQuota.test_drive,
}


def parse_quota(text: str) -> SimulatorQuota:
    """Return the quota that a text names: live, sandbox, testdrive, or "PER_MINUTE/PER_DAY".

    Raises:
        ValueError: it names none.
    """
    account = _ACCOUNTS.get(text.lower())
    if account is not None:
        return account()
    minute, slash, day = text.partition("/")
    if not slash or not minute.isdigit() or not day.isdigit():
        raise ValueError(f"{text!r} is neither of {', '.join(_ACCOUNTS)} nor PER_MINUTE/PER_DAY")
    return SimulatorQuota(per_minute=int(minute), per_day=int(day))


def announce(base_url: str) -> None:
    """Print the address, at once: whoever started the program waits for this line."""
    sys.stdout.write(base_url + "\n")
    sys.stdout.flush()


async def serve(simulator: FusebillSimulator, ready: Callable[[str], None] = announce) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        simulator: not started yet.
        ready: called with the base URL once it listens.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with simulator:
            ready(simulator.base_url)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fusebill_async.testing", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 is any free one")
    parser.add_argument("--customers", type=int, default=100, help="how many are generated, with ids from 1")
    parser.add_argument("--status", choices=[*Status], default=None, help="of all generated customers, not a mix")
    parser.add_argument("--quota", type=parse_quota, default=None, help="live, sandbox, testdrive or MINUTE/DAY")
    parser.add_argument("--state", type=Path, default=None, help="a SQLite file that keeps the customers")
    parser.add_argument("--api-key", default=None, help="the only key that is let in")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that every answer takes")
    parser.add_argument("--any-status", action="store_true", help="every operation works from every status")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulator from the command line."""
    given = _parser().parse_args(arguments)
    simulator = FusebillSimulator(
        host=given.host,
        port=given.port,
        customers=given.customers,
        customers_status=given.status,
        quota=given.quota,
        state=given.state,
        api_key=given.api_key,
        latency=given.latency,
        enforce_states=not given.any_status,
        # It may run for days: what only a test reads is not gathered.
        record_requests=False,
        log_size=1000,
    )
    try:
        asyncio.run(serve(simulator))
    except (OSError, sqlite3.Error, OverflowError) as error:
        sys.exit(f"not started: {error}")
