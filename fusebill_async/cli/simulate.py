"""`fusebill-async simulate`: the simulated service for anyone, curl and other languages included."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter as Option
from cyclopts import Token, validators
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import report_lost_output
from fusebill_async.cli.terminal import messages, output
from fusebill_async.cli.wire_text import printable
from fusebill_async.models.enums import Status
from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota
from fusebill_async.testing.customers import choice
from fusebill_async.testing.serving import parse_fault, parse_quota, serve

_Count = Annotated[int, Option(validator=validators.Number(gte=0))]
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 (only where somebody asks for it)
_Limit = Annotated[int | None, Option(validator=validators.Number(gte=1))]


def _read_quota(_kind: Any, tokens: Sequence[Token]) -> SimulatorQuota:
    return parse_quota(tokens[0].value)


def _read_faults(_kind: Any, tokens: Sequence[Token]) -> tuple[Fault, ...]:
    return tuple(parse_fault(token.value) for token in tokens)


def _read_status(_kind: Any, tokens: Sequence[Token]) -> Status:
    status = choice(Status, tokens[0].value)
    if status is None:
        raise ValueError(f"{tokens[0].value!r} must be one of {', '.join(Status)}")
    return status


async def simulate(
    *,
    host: Annotated[
        str, Option(help="0.0.0.0 lets other computers and containers in, on purpose: any key is let in, too.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(help="0 is any free one.", validator=validators.Number(gte=0, lte=65535))] = 8090,
    customers: Annotated[_Count, Option(help="How many customers there are, with ids from 1.")] = 1000,
    state: Annotated[Path | None, Option(help="A SQLite file that keeps the customers over a restart.")] = None,
    per_minute: Annotated[_Limit, Option(help="Requests a minute, in place of those of --quota.")] = None,
    per_day: Annotated[_Limit, Option(help="Requests a day, in place of those of --quota.")] = None,
    quota: Annotated[
        SimulatorQuota | None,
        Option(
            converter=_read_quota,
            show_default=False,
            help="live, sandbox, testdrive or MINUTE/DAY; by default the documented limits of a live account.",
        ),
    ] = None,
    status: Annotated[
        Status | None, Option(converter=_read_status, help="One status for all generated customers, not a mix.")
    ] = None,
    any_status: Annotated[
        bool, Option(negative="", show_default=False, help="Every operation works from every status.")
    ] = False,
    api_key: Annotated[
        str | None, Option(help="The only key that is let in. Make one up: it is no place for a real one.")
    ] = None,
    latency: Annotated[
        float, Option(help="Seconds that every answer takes.", validator=validators.Number(gte=0))
    ] = 0.0,
    seed: Annotated[int, Option(help="Of everything that is left to chance.")] = 0,
    fault: Annotated[
        tuple[Fault, ...],
        Option(
            converter=_read_faults,
            negative="",
            show_default=False,
            help="KIND:OPERATION:SHARE, such as reset_after_effect:activate:0.1, status=503:get or delay=2:hold:0.5; "
            "the kinds are those of fusebill_async.testing.Fault. Repeat it for more.",
        ),
    ] = (),
    log: Annotated[
        bool,
        Option(
            name=("--log", "--verbose", "-v"),
            negative="",
            show_default=False,
            help="Print each request, and what was answered or struck.",
        ),
    ] = False,
) -> ExitCode:
    """Run the simulated service until Ctrl-C.

    It keeps states, refuses what the service refuses, and counts the quota. Any key is let in; all data is made up.
    """
    simulator = FusebillSimulator(
        host=host,
        port=port,
        customers=customers,
        state=state,
        quota=_quota(quota or SimulatorQuota.live(), per_minute, per_day),
        customers_status=status,
        enforce_states=not any_status,
        api_key=api_key,
        latency=latency,
        seed=seed,
        # It may run for days: what only a test reads is not gathered.
        record_requests=False,
        log_size=1000,
        log=_print_line if log else None,
    )
    simulator.inject(*fault)

    lost: OSError | None = None

    def announce(base_url: str) -> None:
        nonlocal lost
        try:
            _announce(base_url, customers, f":{simulator.port}/", everywhere=host in _EVERYWHERE)
        except OSError as error:
            lost = error
            raise

    try:
        await serve(simulator, announce)
    except (OSError, sqlite3.Error, OverflowError) as error:
        if lost is not None:
            return report_lost_output(lost)
        reason = getattr(error, "strerror", None) or str(error)
        messages().print(Text.assemble(("not started", "bold red"), f"  {host}:{port}: {reason}"))
        messages().print("Choose another with --port, --host or --state.", style="dim")
        return ExitCode.USAGE
    return ExitCode.DONE


def _quota(account: SimulatorQuota, per_minute: int | None, per_day: int | None) -> SimulatorQuota:
    return SimulatorQuota(per_minute=per_minute or account.per_minute, per_day=per_day or account.per_day)


def _print_line(text: str) -> None:
    console = output()
    console.print(Text.assemble((time.strftime("%H:%M:%S"), "dim"), f"  {printable(text)}"), soft_wrap=True)
    console.file.flush()


def _announce(base_url: str, customers: int, port: str, *, everywhere: bool) -> None:
    console = output()
    console.print(Text.assemble(("Fusebill, simulated", "bold"), f"  {customers} customers  ", (base_url, "bold cyan")))
    # The address of all of a computer's networks is the name of none.
    url, option = (f"http://THIS-COMPUTER{port}v1", " --allow-http") if everywhere else (base_url, "")
    for example in (
        f"curl -H 'Authorization: Basic any-key' {url}/customers/1",
        f"FUSEBILL_BASE_URL={url} FUSEBILL_API_KEY=any-key fusebill-async get 1{option}",
    ):
        console.print(Text(f"  {example}"), soft_wrap=True)
    console.print("Ctrl-C stops it.", style="dim")
    console.file.flush()
