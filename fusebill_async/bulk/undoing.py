"""Undo: a job whose items are those of another one, to be put back as they were."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import attrs
import msgspec

from fusebill_async.bulk.goals import differences
from fusebill_async.bulk.items import BadRow, Item, Kind, Row
from fusebill_async.bulk.journal_file import open_to_read
from fusebill_async.bulk.reversing import arguments_back, changes_back, reverse_of
from fusebill_async.bulk.tallies import Tally
from fusebill_async.converting import NO_OBJECT, decode_item, decode_json, encode, read_object
from fusebill_async.errors import ConcurrentModificationError, NotFoundError, ValidationError
from fusebill_async.operations import HOLD, REPLACE, UPDATE, Operation
from fusebill_async.outcome import Attribution
from fusebill_async.resources.core import ClientCore
from fusebill_async.resources.updates import compare, write_of
from fusebill_async.settling.response import Response
from fusebill_async.settling.seen import Reading
from fusebill_async.settling.write import Write
from fusebill_async.updating.merging import expected
from fusebill_async.updating.pending import PendingUpdate, Put
from fusebill_async.wire.request import named_in_body

_ROWS = (
    "SELECT number, customer_id, asked, "
    "CASE WHEN intents.item IS NULL THEN coalesce(tally, 'unprocessed') ELSE 'unknown' END, "
    "attribution, modified, before, wire FROM items LEFT JOIN outcomes ON outcomes.item = number "
    "LEFT JOIN intents ON intents.item = number LEFT JOIN snapshots ON snapshots.item = number ORDER BY number"
)
_NOT_OURS = {
    Attribution.ALREADY: "it was so before the job",
    Attribution.UNPROVEN: "it may have been somebody else's doing",
}


class NotAsLeftError(ConcurrentModificationError):
    """A customer does not stand as the job left it. It is caught where items are carried out: the item is set aside."""


@attrs.frozen(kw_only=True)
class UndoJob:
    """Takes the items of another job back.

    Attributes:
        undone: what that job did.
        arguments: of the operation that takes it back, for every item.
    """

    undone: Kind
    arguments: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def operation(self) -> Operation:
        """The one that takes it back."""
        return reverse_of(self.undone.operation)

    @property
    def requests(self) -> int:
        """The write, and the read right before it that shows how the customer stands."""
        return 2

    @property
    def takes_snapshot(self) -> bool:
        """No: each customer is read right before its write."""
        return False

    def options(self) -> dict[str, Any]:
        """What it takes back, and how."""
        undone = self.undone
        return {"undoes": undone.operation.title, "of": undone.options(), "arguments": dict(self.arguments)}

    def read(self, core: ClientCore, given: Any) -> Row:  # noqa: ARG002 (the protocol's)
        """Refuse it: what is undone stands in the journal of the other job."""
        raise ValidationError("an undo takes its items from a journal", field="items")

    def objection_to(self, item: Item, wire: bytes) -> str:
        """Why a customer may not be put back, in words; "" if it stands as the job left it."""
        left = _Left.of(item)
        present = read_object(wire)
        if present.values.get("modifiedTimestamp") != left.modified:
            return "it was changed since"
        item = Item(number=item.number, customer_id=item.customer_id, asked=left.asked)
        sent = self.undone.sent(item, present)
        different = differences(self.undone.operation.goal, sent, present.values)
        names = ", ".join(each.field for each in different)
        return f"it does not stand as the job left it: {names}" if names else ""


@attrs.frozen
class _Left:
    """How a job left a customer: its timestamp, and what was asked for."""

    modified: str
    asked: bytes | None

    @classmethod
    def of(cls, item: Item) -> _Left:
        left = read_object(item.asked or b"{}").inner["left"]
        return cls(left.values["modified"], None if left.values["asked"] is None else bytes(left.texts["asked"]))


@attrs.frozen(kw_only=True)
class UndoneVerb(UndoJob):
    """Takes back what was no update, by a request of its own."""

    async def objection(self, core: ClientCore, item: Item) -> str:
        """Read the customer, and say why it may not be put back."""
        left = encode({"modifiedTimestamp": _Left.of(item).modified})
        try:
            read = await core.read_newest(item.customer_id, left)
        except NotFoundError:
            return "there is no such customer any more"
        return self.objection_to(item, read.value.wire or b"{}")

    def write(self, core: ClientCore, item: Item) -> Write:
        """The write of an item."""
        return core.write_of(self.operation, item.customer_id, self._arguments(item))

    def check_answer(self, write: Write, response: Response[Any]) -> None:
        """Nothing to compare: the driver looks at the goal."""

    def sent(self, item: Item, present: Any) -> Mapping[str, Any]:  # noqa: ARG002 (the protocol's)
        """The parameters in the body."""
        return named_in_body(self.operation, self._arguments(item))

    def _arguments(self, item: Item) -> dict[str, Any]:
        return {**self.arguments, **decode_json(item.asked or b"{}")["back"]}


@attrs.frozen(kw_only=True)
class UndoneUpdate(UndoJob):
    """Takes updates and replacements back, field by field."""

    async def objection(self, core: ClientCore, item: Item) -> str:  # noqa: ARG002 (the protocol's)
        """Nothing yet: the read that the PUT rests on tells."""
        return ""

    def write(self, core: ClientCore, item: Item) -> Write:
        """The write of an item."""
        # Whatever is read must not be older than what the job left.
        known = encode({"id": item.customer_id, "modifiedTimestamp": _Left.of(item).modified})
        now = core.session.effects.now()
        core.seen.remember(Reading(customer=decode_item(known), sent_at=now, whole=False))
        update = _PutBack(
            operation=self.operation,
            customer_id=item.customer_id,
            changes=read_object(item.asked or b"{}").inner["back"],
            always_read=True,
            rounds=core.setup.updates.rounds,
            job=self,
            item=item,
        )
        return write_of(core, update)

    def check_answer(self, write: Write, response: Response[Any]) -> None:
        """Raise `FieldsNotTakenError` if the answer shows other values than were sent."""
        assert write.update is not None
        compare(write.call, write.update, response)

    def sent(self, item: Item, present: Any) -> Mapping[str, Any]:
        """The changes."""
        return expected(present, read_object(item.asked or b"{}").inner.get("back", NO_OBJECT))


@attrs.define(eq=False, kw_only=True)
class _PutBack(PendingUpdate):
    """The PUT that takes an update back, if the customer stands as that left it."""

    job: UndoJob
    item: Item

    def next_put(self, first: bytes, present: bytes, *, in_doubt: bool, facts: Mapping[str, Any]) -> Put | None:
        """Look at the customer that the PUT would rest on; see `PendingUpdate.next_put`.

        Raises:
            NotAsLeftError: it was changed since.
        """
        objection = self.job.objection_to(self.item, present)
        if objection:
            raise NotAsLeftError(objection, **facts)
        return super().next_put(first, present, in_doubt=in_doubt, facts=facts)


# --- the items


def undo_rows(path: Path, undone: Kind) -> Iterator[Row | BadRow]:
    """Every item of a job as an item of its undo, in the order of its input; what must not be touched is set aside.

    Args:
        path: of the job's journal.
        undone: what the job did.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        for row in connection.execute(_ROWS):
            yield _row(undone, *row)


def _row(
    undone: Kind,
    number: int,
    customer_id: int | None,
    asked: str | None,
    tally: str,
    attribution: str | None,
    modified: str | None,
    before: str | None,
    wire: bytes | None,
) -> Row | BadRow:
    if customer_id is None:
        return BadRow(f"row {number} of the job that is undone was no item")
    item = Item(number=number, customer_id=customer_id, asked=None if asked is None else asked.encode())
    aside = _not_ours(tally, attribution, modified)
    back = aside or _back(undone, item, before, None if wire is None else zlib.decompress(wire))
    if isinstance(back, str):
        return Row(customer_id=customer_id, aside=back)
    left = {"modified": modified, "asked": None if asked is None else msgspec.Raw(asked.encode())}
    return Row(customer_id=customer_id, asked=encode({"back": back, "left": left}))


def _not_ours(tally: str, attribution: str | None, modified: str | None) -> str:
    """Why an item is none that the job did, in words; "" if it is."""
    if tally == Tally.UNKNOWN:
        return "what became of it is unknown: resume the job first"
    if tally != Tally.APPLIED:
        return f"the job did nothing to it: it is {tally.replace('_', ' ')}"
    if attribution != Attribution.OURS:
        return _NOT_OURS.get(cast("Attribution", attribution), "whose doing it was is not known")
    return "" if modified is not None else "the service did not tell when the job changed it"


def _back(undone: Kind, item: Item, before: str | None, wire: bytes | None) -> dict[str, Any] | str:
    """What takes an item back, or why nothing does."""
    operation = undone.operation
    if operation in {UPDATE, REPLACE}:
        return _changes_back(undone, item, before)
    if wire is None:
        # Whoever was put on hold was active, whatever else was there.
        return {} if operation is HOLD else "no snapshot was kept of it"
    was = read_object(wire)
    sent = undone.sent(item, was)
    if not differences(operation.goal, sent, was.values):
        return "it was so before the job"
    return arguments_back(operation, was.values, sent)


def _changes_back(undone: Kind, item: Item, before: str | None) -> dict[str, Any] | str:
    if before is None:
        return "what was there before is not known"
    was = read_object(before.encode()).inner["fields"]
    asked = read_object(item.asked or b"{}")
    changes = was if undone.operation is REPLACE else asked.inner.get("changes") or asked.inner.get("back", NO_OBJECT)
    back = changes_back(changes, was)
    status = back.pop("status", None)
    if status is not None and "status" in changes.values and was.values.get("status") != changes.values["status"]:
        return "it changed the status, for which there are verbs"
    return back
