"""The simulator as a program: `python -m fusebill_async.testing`, and `fusebill-async simulate` on it."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import inspect
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fusebill_async.models.enums import Status
from fusebill_async.testing.faults import Fault
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


def parse_fault(text: str) -> Fault:
    """The fault that a text names: KIND[=VALUE]:OPERATION[:SHARE], such as "reset_after_effect:activate:0.1".

    VALUE is what the kind needs, as in "status=503:get" and "delay=2.5:hold:0.5". An OPERATION of "*" is any. SHARE, 0
    to 1, is the part of the requests that it strikes, all by default. It strikes for ever.

    Raises:
        ValueError: it names none.
    """
    named, _, rest = text.partition(":")
    operation, _, share = rest.partition(":")
    kind, sign, value = named.partition("=")
    kinds = [name for name, made in vars(Fault).items() if isinstance(made, classmethod)]
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1) or kinds
        raise ValueError(f"no fault is named {kind!r}; there is {', '.join(near)}")
    first = next(iter(inspect.signature(getattr(Fault, kind)).parameters.values()))
    if not sign and first.default is first.empty and first.kind is not first.VAR_KEYWORD:
        raise ValueError(f"{kind} needs a number, as in {kind}=2:{operation or '*'}")
    given: dict[str, Any] = {first.name: _number(value)} if sign else {}
    fault: Fault = getattr(Fault, kind)(**given, operation=None if operation in {"", "*"} else operation, times=None)
    probability = float(share or 1)
    if not 0 < probability <= 1:
        raise ValueError(f"a share is above 0 and at most 1, not {share}")
    return fault.scoped(probability=probability)


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


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
