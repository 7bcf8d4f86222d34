"""`--dry-run`: what a write would send, worked out by the client itself up to the moment at which it would send it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, cast

import attrs
import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import command_name
from fusebill_async.cli.results import Result
from fusebill_async.cli.showing import difference_objects, difference_table
from fusebill_async.cli.terminal import status_text
from fusebill_async.cli.wire_text import cell, printable, raw, wire_of
from fusebill_async.client import ConfiguredClient, FusebillClient, Verbs
from fusebill_async.converting import encode, read_object
from fusebill_async.models import Customer
from fusebill_async.operations import Operation, names_of, preview_of
from fusebill_async.outcome import Outcome
from fusebill_async.settling.write import Write
from fusebill_async.settling.writer import Writer
from fusebill_async.updating.merging import Change, differences
from fusebill_async.wire.request import Request


class _ReachedError(Exception):
    """A write came to where it would be sent."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self.write = write


class _Rehearsal:
    """Stands in for the writer of a client, and sends nothing."""

    async def write(self, write: Write) -> NoReturn:
        raise _ReachedError(write)


async def rehearse(client: FusebillClient, act: Callable[[Verbs], Awaitable[object]]) -> Result:
    """What a write would send.

    Args:
        client: reads the customer.
        act: carries the write out with the client that it is given.

    Raises:
        FusebillError: the write would not be sent.
    """
    core = client._core  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] (only the client knows what it would send)
    writing = attrs.evolve(core.writing, writer=cast("Writer", _Rehearsal()))
    rehearsing = ConfiguredClient(attrs.evolve(core, writing=writing))
    try:
        await act(rehearsing)
    except _ReachedError as reached:
        write = reached.write
    else:
        raise AssertionError("a write did not come to where it is sent")
    call, customer, request = write.call, None, write.call.request
    changes: tuple[Change, ...] = ()
    if call.customer_id is not None:
        customer = (await core.read_newest(call.customer_id)).value
    if customer is not None and write.update is not None:
        put = write.update.next_put(wire_of(customer), wire_of(customer), in_doubt=False, facts=call.facts)
        request = None if put is None else put.request
        if request is not None:
            changes = differences(read_object(wire_of(customer)), read_object(request.body or b"{}"))
    return Planned(call.operation, customer, request, changes)


@attrs.frozen
class Planned(Result):
    """What a write would send, and what it would do. Nothing was sent.

    Attributes:
        operation: the write.
        customer: as it is now, None if it acts on none.
        request: None if there is nothing to change.
        changes: the fields that an update changes.
    """

    operation: Operation
    customer: Customer | None
    request: Request | None
    changes: tuple[Change, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Whether the customer's status allows it."""
        return ExitCode.DONE if self._allowed else ExitCode.NOT_DONE

    @property
    def _allowed(self) -> bool:
        works_from = self.operation.allowed_from
        return self.customer is None or works_from is None or self.customer.status in works_from

    def as_json(self) -> bytes:
        """The request, and what is known of the customer."""
        works_from, request = self.operation.allowed_from, self.request
        return encode(
            {
                "outcome": Outcome.NOT_SENT,
                "dry_run": True,
                "operation": self.operation.title,
                "customer_id": None if self.customer is None else self.customer.id,
                "method": None if request is None else request.method,
                "path": None if request is None else request.target,
                "body": None if request is None or request.body is None else msgspec.Raw(request.body),
                "status": None if self.customer is None else self.customer.status,
                "works_from": None if works_from is None else sorted(works_from),
                "leads_to": self.operation.leads_to,
                "allowed": self._allowed,
                "changes": difference_objects(self.changes),
                "customer": raw(self.customer),
            }
        )

    def print_on(self, console: Console) -> None:
        """What would be sent, and what would follow."""
        about = Text.assemble(("dry run", "bold cyan"), f"  {self._about()}. Nothing was sent.")
        console.print(about, soft_wrap=True)
        if self.request is None:
            console.print("  nothing to change: the customer is already so")
            return
        console.print(Text(f"  {self.request.method} {self.request.target}", style="bold"), soft_wrap=True)
        if self.changes:
            console.print("  with the whole customer as it came, but for:")
            console.print(Padding(difference_table(self.changes), (0, 0, 0, 4), expand=False))
        elif self.request.body is not None:
            console.print(Text(f"  {printable(self.request.body.decode())}"), soft_wrap=True)
        if self.customer is not None:
            console.print(self._what_follows())
        preview = preview_of(self.operation)
        if preview is not None and self.customer is not None and self._allowed:
            name = command_name(preview)
            console.print(f"  fusebill-async {name} {self.customer.id} shows what it would invoice.", style="dim")

    def _about(self) -> str:
        if self.customer is None:
            return self.operation.title
        name = printable(cell(wire_of(self.customer), "companyName"))
        return f"{self.operation.title} of customer {self.customer.id} ({name})"

    def _what_follows(self) -> Text:
        assert self.customer is not None
        works_from, leads_to = self.operation.allowed_from, self.operation.leads_to
        text = Text.assemble("  It is ", status_text(str(self.customer.status)))
        if works_from is not None:
            text.append(f", and this works from {names_of(works_from)}")
        if not self._allowed:
            return text.append(": the service would refuse it.", style="bold red")
        return text.append("." if leads_to is None else f": it would become {leads_to}.")
