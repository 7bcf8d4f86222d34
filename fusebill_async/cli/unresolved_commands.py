"""`unresolved` and `resolve`: the writes that a store keeps because their outcome is not known yet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import attrs
from cyclopts import Parameter as Option
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import KEPT, Kept
from fusebill_async.cli.performing import perform
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import messages
from fusebill_async.cli.wire_text import printable, raw
from fusebill_async.client import FusebillClient
from fusebill_async.converting import encode
from fusebill_async.errors import ValidationError
from fusebill_async.outcome import Outcome
from fusebill_async.settling.intent import UnresolvedWrite
from fusebill_async.settling.response import Resolution

_STYLES = {Outcome.APPLIED: "bold green", Outcome.UNKNOWN: "bold yellow"}


@attrs.frozen
class Unresolved(Result):
    """The writes whose outcome is not known, oldest first."""

    writes: tuple[UnresolvedWrite, ...]

    def as_json(self) -> bytes:
        """An array."""
        return encode([_write_object(write) for write in self.writes])

    def print_on(self, console: Console) -> None:
        """A table, or lines with tabs where nobody looks."""
        if not self.writes:
            messages().print("Nothing is unresolved.", style="dim")
        rows = [
            (write.id, write.operation, _who(write), f"{datetime.fromtimestamp(write.opened_at, UTC):%F %T} UTC")
            for write in self.writes
        ]
        if not console.is_terminal:
            for row in rows:
                console.file.write("\t".join(row) + "\n")
            return
        table = Table("id", "operation", "of", "sent at", box=None, pad_edge=False, header_style="bold underline")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)


@attrs.frozen
class Resolved(Result):
    """What became of writes."""

    resolutions: tuple[Resolution, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Unknown weighs more than not applied, and that more than applied."""
        outcomes = {resolution.outcome for resolution in self.resolutions}
        if Outcome.UNKNOWN in outcomes:
            return ExitCode.UNKNOWN
        return ExitCode.DONE if outcomes <= {Outcome.APPLIED} else ExitCode.NOT_DONE

    @property
    def happened(self) -> str:
        """Each outcome."""
        return "; ".join(map(_sentence, self.resolutions))

    def as_json(self) -> bytes:
        """An array."""
        return encode(
            [
                _write_object(resolution.write)
                | {
                    "outcome": resolution.outcome,
                    "attribution": resolution.attribution,
                    "reason": resolution.reason,
                    "customer": raw(resolution.customer),
                }
                for resolution in self.resolutions
            ]
        )

    def print_on(self, console: Console) -> None:
        """A line each, with the reason below."""
        for resolution in self.resolutions:
            style = _STYLES.get(resolution.outcome, "bold red")
            outcome, _, rest = _sentence(resolution).partition("  ")
            console.print(Text.assemble((outcome, style), "  ", rest))
            if resolution.reason:
                console.print(Text(printable(resolution.reason), style="dim"))
        if not self.resolutions:
            messages().print("Nothing is unresolved.", style="dim")


async def list_unresolved(*, common: Kept = KEPT) -> ExitCode:
    """List the writes whose outcome is not known yet. Sends nothing."""

    async def work(client: FusebillClient) -> Result:
        _check_store(common.kept_in)
        return Unresolved(tuple(client.unresolved()))

    return await perform(None, work, _looking(common))


async def resolve(
    id: Annotated[str | None, Option(help="As unresolved lists it.")] = None,  # noqa: A002 (it is shown as ID)
    /,
    *,
    every: Annotated[
        bool, Option(name="--all", negative="", show_default=False, help="Settle every one, one after the other.")
    ] = False,
    common: Kept = KEPT,
) -> ExitCode:
    """Settle a write whose outcome is not known, by reading the customer. It is never sent again."""

    async def work(client: FusebillClient) -> Result:
        _check_store(common.kept_in)
        if every == (id is not None):
            raise ValidationError("name one write, or give --all", field="id")
        return Resolved(tuple(await client.resolve_all()) if id is None else (await client.resolve(id),))

    return await perform(None, work, _looking(common))


def _looking(common: Kept) -> Kept:
    """A file that is not there holds nothing, and is not to be made by a look."""
    store = common.kept_in
    return common if store is not None and store.exists() else attrs.evolve(common, store=None)


def _check_store(store: Path | None) -> None:
    if store is None:
        raise ValidationError("name the file that keeps them: --store PATH or FUSEBILL_STORE", field="store")
    if not store.exists():
        raise ValidationError(f"there is no file {store}", field="store")


def _write_object(write: UnresolvedWrite) -> dict[str, Any]:
    return {
        "id": write.id,
        "operation": write.operation,
        "customer_id": write.customer_id,
        "reference": write.reference,
        "state": write.state,
        "opened_at": datetime.fromtimestamp(write.opened_at, UTC),
    }


def _who(write: UnresolvedWrite) -> str:
    if write.customer_id is not None:
        return f"customer {write.customer_id}"
    return "a new customer" if write.reference is None else f"reference {printable(write.reference)}"


def _sentence(resolution: Resolution) -> str:
    write = resolution.write
    return f"{resolution.outcome.replace('_', ' ')}  {write.operation} of {_who(write)}"
