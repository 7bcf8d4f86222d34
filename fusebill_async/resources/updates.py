"""The flow of an update: read, lay the changes over the wire form, guard, PUT, compare."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.converting import decode_customer, read_object
from fusebill_async.errors import FieldsNotTakenError, ValidationError, shown
from fusebill_async.models import Customer
from fusebill_async.operations import REPLACE, UPDATE, Operation
from fusebill_async.outcome import ConfirmedBy
from fusebill_async.resources.core import ClientCore, identify
from fusebill_async.session.call import Call
from fusebill_async.settling.keys import call_key
from fusebill_async.settling.response import Response
from fusebill_async.settling.write import Write
from fusebill_async.updating.changes import check_status, laid_over, model_changes, wire_changes
from fusebill_async.updating.draft import CustomerDraft, draft_of
from fusebill_async.updating.guarding import check_conflicts, erased, guard, not_taken
from fusebill_async.updating.merging import UpdatePlan, differences, frozen, plan, status_of, unechoed
from fusebill_async.updating.pending import PendingUpdate
from fusebill_async.updating.rules import check_changes
from fusebill_async.wire.checks import is_several

logger = logging.getLogger("fusebill_async")

Check: TypeAlias = Literal["fresh", "strict"]


async def carry_out(core: ClientCore, update: PendingUpdate, idempotency_key: str | None = None) -> Response[Customer]:
    """Carry out an update, and compare the answer with what was sent."""
    write = write_of(core, update)
    if idempotency_key is not None:
        asked = update.changes.values
        if update.whole:
            asked = {"base": None if update.base is None else update.base.decode(), "changes": asked}
        now = core.session.effects.wall()
        write.key = call_key(idempotency_key, update.operation, update.customer_id, asked, now=now)
    response = await core.writing.writer.write(write)
    compare(write.call, update, response)
    return response


def write_of(core: ClientCore, update: PendingUpdate) -> Write:
    """The write of an update, not begun yet."""
    return Write(Call(update.operation, update.customer_id, None, core.options), {}, resend=True, update=update)


def compare(call: Call, update: PendingUpdate, response: Response[Customer]) -> None:
    """Raise `FieldsNotTakenError` if the answer shows other values than were sent."""
    if response.confirmed_by is not ConfirmedBy.RESPONSE or call.request is None:
        # Every named field was found as it was sent, and what else is different may be somebody else's.
        return
    customer = response.value
    shown, sent = read_object(customer.wire or b"{}"), read_object(call.request.body or b"{}")
    different = not_taken(update.shows or {}, shown)
    changes = differences(sent, shown)
    undone = set(erased([change for change in changes if not change.absent], {*update.named, *different}))
    different.update((change.field, (change.before, None)) for change in changes if change.field in undone)
    if different:
        told = "; ".join(f"{name}: sent {sent!r}, shown {now!r}" for name, (sent, now) in different.items())
        raise FieldsNotTakenError(
            f"{call.about} was applied, but not as sent: {told}", fields=different, customer=customer, **call.facts
        )
    absent = erased(changes, update.named)
    if absent:
        logger.warning("the answer to %s does not show %s", call.about, ", ".join(absent))


def make_update(
    core: ClientCore,
    operation: Operation,
    customer: int | Customer,
    changes: Mapping[str, Any],
    *,
    validate: bool = True,
    allow_erase: Collection[str] = (),
    allow_status_change: bool = False,
    check: Check = "fresh",
) -> PendingUpdate:
    """An update from what the caller gave, checked before anything is sent.

    A value that the customer handed in has already is not checked: it may be older than the rules.
    """
    strict = _is_strict(check)
    customer_id, base = identify(customer)
    wired = wire_changes(changes)
    if isinstance(customer, Customer):
        wired = laid_over(model_changes(customer), wired)
    named = frozen(wired)
    handed_in = None if base is None else read_object(base)
    if validate:
        check_changes(named.values if handed_in is None else unechoed(handed_in, named))
    if handed_in is not None:
        check_status(named.values, status_of(handed_in), allowed=True)
    return PendingUpdate(
        operation=operation,
        customer_id=customer_id,
        changes=named,
        base=base,
        strict=strict,
        allow_status_change=allow_status_change,
        allow_erase=_names(allow_erase),
        rounds=core.setup.updates.rounds,
    )


def make_planned(core: ClientCore, planned: UpdatePlan, *, check: Check) -> PendingUpdate:
    """The update that a plan has shown. It rests on the customer that was planned for, so a conflict is seen."""
    return PendingUpdate(
        operation=UPDATE,
        customer_id=planned.customer_id,
        changes=planned.named,
        base=planned.base,
        strict=_is_strict(check),
        allow_status_change=planned.allow_status_change,
        allow_erase=planned.allow_erase,
        rounds=core.setup.updates.rounds,
    )


def _is_strict(check: Any) -> bool:
    # No set: what was given may have no hash.
    if check not in ("fresh", "strict"):
        raise ValidationError(f'check must be "fresh" or "strict", not {shown(check)}', field="check")
    return bool(check == "strict")


def make_replacement(
    core: ClientCore,
    customer: Customer,
    *,
    allow_erase: Collection[str],
    allow_status_change: bool,
    validate: bool,
) -> PendingUpdate:
    """The PUT of a whole customer, checked before anything is sent."""
    given: Any = customer
    if not isinstance(given, Customer):
        raise ValidationError(f"replace takes a Customer, not {type(given).__name__}", field="customer")
    customer_id, wire = identify(customer)
    named = frozen(model_changes(customer, whole=True))
    if validate:
        check_changes(named.values)
    if wire is not None:
        check_status(named.values, status_of(read_object(wire)), allowed=True)
    return PendingUpdate(
        operation=REPLACE,
        customer_id=customer_id,
        changes=named,
        base=wire,
        whole=True,
        from_scratch=wire is None,
        allow_status_change=allow_status_change,
        allow_erase=_names(allow_erase),
        rounds=core.setup.updates.rounds,
    )


def _names(allow_erase: Collection[str]) -> frozenset[str]:
    names: list[Any] = list(allow_erase) if is_several(allow_erase) else [None]
    if not all(isinstance(name, str) for name in names):
        raise ValidationError(f"allow_erase must be a set of names, not {shown(allow_erase)}", field="allow_erase")
    return frozenset(names)


async def plan_update(
    core: ClientCore,
    customer: int | Customer,
    changes: Mapping[str, Any],
    *,
    validate: bool = True,
    allow_erase: Collection[str] = (),
    allow_status_change: bool = False,
) -> Response[UpdatePlan]:
    """Read, and show what an update would send. Raises what the update would raise."""
    update = make_update(core, UPDATE, customer, changes, validate=validate, allow_erase=allow_erase)
    read = await core.read_newest(update.customer_id, update.base)
    present = read_object(read.value.wire or b"{}")
    facts = {"operation": UPDATE.title, "customer_id": update.customer_id}
    if update.base is not None:
        check_conflicts(differences(read_object(update.base), present), update.named, **facts)
    check_status(update.changes.values, status_of(present), allowed=allow_status_change, **facts)
    planned = plan(update.customer_id, present, update.changes)
    guard(planned.changes, update.named, update.allow_erase, **facts)
    response: Response[Any] = read
    response.value = attrs.evolve(
        planned, base=read.value.wire, allow_status_change=allow_status_change, allow_erase=update.allow_erase
    )
    return response


class Edit:
    """The block of `customers.edit`: reads at its start, and updates at its end what was assigned in it.

    No lock is held while the block runs: what others change meanwhile is merged, and in a field that the block
    assigned it raises `ConcurrentModificationError`. A block that ends with an error sends nothing.
    """

    def __init__(self, core: ClientCore, operation: Operation, customer_id: int, options: Mapping[str, Any]) -> None:
        self._core = core
        self._operation = operation
        self._customer_id = customer_id
        self._options = options
        self._draft: CustomerDraft | None = None

    async def __aenter__(self) -> CustomerDraft:
        response = await self._core.read_newest(self._customer_id)
        self._draft = draft_of(response.value)
        return self._draft

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None or self._draft is None:
            return
        update = make_update(self._core, self._operation, self._draft, {}, **self._options)
        if not update.changes.texts:
            assert update.base is not None
            self._draft.finish(decode_customer(update.base))
            return
        # The block may have waited for anything, so its own read is never young enough.
        update.always_read = True
        self._draft.finish((await carry_out(self._core, update)).value)
