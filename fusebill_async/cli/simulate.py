"""`fusebill-async simulate`: the simulated service for anyone, curl and other languages included."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter as Option
from cyclopts import validators
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.terminal import messages, output
from fusebill_async.settings import QuotaPolicy
from fusebill_async.testing import FusebillSimulator, SimulatorQuota
from fusebill_async.testing.serving import serve

_Count = Annotated[int, Option(validator=validators.Number(gte=0))]
_Limit = Annotated[int | None, Option(validator=validators.Number(gte=1))]


async def simulate(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Option(help="0 is any free one.", validator=validators.Number(gte=0, lte=65535))] = 8090,
    customers: Annotated[_Count, Option(help="How many customers there are, with ids from 1.")] = 1000,
    state: Annotated[Path | None, Option(help="A SQLite file that keeps the customers over a restart.")] = None,
    per_minute: Annotated[
        _Limit, Option(help="Requests a minute; the documented limit of a live account is 1000.")
    ] = None,
    per_day: Annotated[_Limit, Option(help="Requests a day; the documented limit of a live account is 180000.")] = None,
    latency: Annotated[
        float, Option(help="Seconds that every answer takes.", validator=validators.Number(gte=0))
    ] = 0.0,
    seed: Annotated[int, Option(help="Of everything that is left to chance.")] = 0,
) -> ExitCode:
    """Run the simulated service until Ctrl-C.

    It keeps states, refuses what the service refuses, and counts the quota. Any key is let in; all data is made up.
    """
    simulator = FusebillSimulator(
        host=host,
        port=port,
        customers=customers,
        state=state,
        quota=_quota(per_minute, per_day),
        latency=latency,
        seed=seed,
        # It may run for days: what only a test reads is not gathered.
        record_requests=False,
        log_size=1000,
    )

    def announce(base_url: str) -> None:
        _announce(base_url, customers)

    try:
        await serve(simulator, announce)
    except (OSError, sqlite3.Error, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        messages().print(Text.assemble(("not started", "bold red"), f"  {host}:{port}: {reason}"))
        messages().print("Choose another with --port, --host or --state.", style="dim")
        return ExitCode.USAGE
    return ExitCode.DONE


def _quota(per_minute: int | None, per_day: int | None) -> SimulatorQuota | None:
    if per_minute is None and per_day is None:
        return None
    documented = QuotaPolicy()
    return SimulatorQuota(
        per_minute=per_minute or documented.per_minute,
        per_day=per_day or documented.per_day,
    )


def _announce(base_url: str, customers: int) -> None:
    console = output()
    console.print(Text.assemble(("Fusebill, simulated", "bold"), f"  {customers} customers  ", (base_url, "bold cyan")))
    for example in (
        f"curl -H 'Authorization: Basic any-key' {base_url}/customers/1",
        f"FUSEBILL_BASE_URL={base_url} FUSEBILL_API_KEY=any-key fusebill-async get 1",
    ):
        console.print(Text(f"  {example}"), soft_wrap=True)
    console.print("Ctrl-C stops it.", style="dim")
    console.file.flush()
