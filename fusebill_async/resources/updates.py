"""The flow of an update: read, lay the changes over the wire form, guard, PUT, compare."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.converting import decode_customer, decode_json, encode
from fusebill_async.errors import ConcurrentModificationError, FieldsNotTakenError, ValidationError
from fusebill_async.models import Customer, named_changes
from fusebill_async.operations import GET, REPLACE, Operation
from fusebill_async.resources.handle import Handle, identify
from fusebill_async.session.admission import Permit
from fusebill_async.session.call import Answer, Call
from fusebill_async.settling.goals import same_value
from fusebill_async.settling.intent import Before
from fusebill_async.settling.response import Response, response_of
from fusebill_async.settling.write import Write
from fusebill_async.updating.changes import check_status, wire_changes
from fusebill_async.updating.draft import CustomerDraft, draft_of
from fusebill_async.updating.guarding import changed_by_others, check_conflicts, conflict, guard, named_paths
from fusebill_async.updating.merging import UpdatePlan, differences, plan
from fusebill_async.updating.rules import CUSTOMER_RULES, NESTED_RULES, check_changes, python_name
from fusebill_async.wire.request import Request, build_request

logger = logging.getLogger("fusebill_async")

Check: TypeAlias = Literal["fresh", "strict"]


class NothingToSend(Exception):  # noqa: N818 (not an error: the customer is already as wanted)
    """The customer is already as wanted."""

    def __init__(self, call: Call, answer: Answer) -> None:
        super().__init__()
        self.call = call
        self.answer = answer


def _known_already(wire: bytes) -> Answer:
    """The answer of an update that neither read nor sent anything: the customer as it was handed in."""
    return Answer(decode_customer(wire), 200, {}, 0.0, 0.0, 1)


@attrs.define(eq=False)
class Update:
    """One update over all its rounds.

    A round reads the customer, unless it was read just now, lays the changes over what it read, and sends the PUT
    in the place of the pool that the read was made in: between the read and the PUT nothing is waited for.

    Attributes:
        base: the wire form that the changes were meant for; from the first round on, what that round read.
        whole: the PUT sends the base as it is, so any change by somebody else is a conflict.
        always_read: read right before the PUT, however young the base is.
    """

    handle: Handle
    operation: Operation
    customer_id: int
    changes: Mapping[str, Any]
    base: bytes | None = None
    whole: bool = False
    always_read: bool = False
    check: Check = "fresh"
    allow_status_change: bool = False
    allow_erase: frozenset[str] = frozenset()
    rounds: int = 0

    async def run(self) -> Response[Customer]:
        """Carry it out."""
        handle = self.handle
        call = Call(self.operation, self.customer_id, None, handle.options)
        call.requests_per_attempt = self._requests()
        write = Write(call, {}, resend=True, prepare=self._prepare)
        try:
            response = await handle.settler.write(write)
        except NothingToSend as nothing:
            return response_of(nothing.call, nothing.answer)
        self._compare(call, response.value)
        return response

    def _requests(self) -> int:
        return 1 + (not self._is_young(self.base)) + (self.check == "strict")

    def _is_young(self, wire: bytes | None) -> bool:
        if wire is None or self.rounds or self.always_read:
            return False
        settler = self.handle.settler
        age = settler.seen.age(self.customer_id, wire, settler.session.effects.now())
        return age <= self.handle.updates.max_read_age

    async def _prepare(self, write: Write, permit: Permit) -> None:
        """Make the PUT of this round, from a customer that was read after everything that was waited for."""
        if self.rounds >= self.handle.updates.rounds:
            raise ConcurrentModificationError(
                f"{write.call.about} was merged {self.rounds} times, and was overtaken each time",
                conflicts={},
                **write.call.facts,
            )
        present: bytes
        if self.base is not None and self._is_young(self.base):
            present = self.base
        else:
            present = await self._read(write, permit)
        if self.check == "strict":
            # The base of the comparison is the first read; the second one is what the PUT rests on.
            self.base = self.base or present
            present = await self._read(write, permit)
        self.rounds += 1
        facts = write.call.facts
        if self.base is not None:
            self._check_others(self.base, present, facts)
        self.base = present
        self._send_next(write, present, facts)
        # Later rounds read anew, whatever this one could do without.
        write.call.requests_per_attempt = 2 + (self.check == "strict")

    async def _read(self, write: Write, permit: Permit) -> bytes:
        call = Call(GET, self.customer_id, build_request(GET, self.customer_id), write.call.options)
        call.spent, call.past, call.tries = write.call.spent, write.call.past, write.call.tries
        try:
            answer = await self.handle.session.read_within(call, permit)
        finally:
            write.call.spent, write.call.tries = call.spent, call.tries
        customer: Customer = answer.value
        self.handle.settler.remember(customer)
        assert customer.wire is not None
        self._answer = answer
        return customer.wire

    _answer: Answer | None = None

    def _check_others(self, base: bytes, present: bytes, facts: dict[str, Any]) -> None:
        if not self.whole:
            check_conflicts(base, present, self.changes, **facts)
            return
        others = changed_by_others(base, present)
        if others:
            raise conflict({change.field: (change.before, change.after, change.before) for change in others}, **facts)

    def _send_next(self, write: Write, present: bytes, facts: dict[str, Any]) -> None:
        before = Before(wire=present, given=True)
        check_status(self.changes, before.status, allowed=self.allow_status_change)
        planned = self._plan(present)
        if not planned and not self.whole and not write.doubtful:
            raise NothingToSend(write.call, self._answer or _known_already(present))
        guard(present, planned.body, {*named_paths(self.changes), *self.allow_erase}, **facts)
        write.before = before
        write.named = self._named(planned)
        write.call.request = Request(self.operation.method, self.operation.path, planned.body)

    def _plan(self, present: bytes) -> UpdatePlan:
        return plan(self.customer_id, present, self.changes)

    def _named(self, planned: UpdatePlan) -> Mapping[str, Any]:
        """What a later read must show for the PUT to have happened."""
        if not self.whole:
            return self.changes
        body = decode_json(planned.body)
        return {key: value for key, value in body.items() if key in CUSTOMER_RULES or key in NESTED_RULES}

    def _compare(self, call: Call, customer: Customer) -> None:
        """Compare the answer with what was sent: a field that the service did not take is told, not hidden."""
        shown = decode_json(customer.wire or b"{}")
        different = {
            python_name(key): (value, shown.get(key))
            for key, value in self.changes.items()
            if key in shown and not same_value(value, shown.get(key))
        }
        if different:
            told = "; ".join(f"{name}: sent {sent!r}, shown {now!r}" for name, (sent, now) in different.items())
            raise FieldsNotTakenError(
                f"{call.about} was applied, but not as sent: {told}", fields=different, customer=customer, **call.facts
            )
        assert call.request is not None
        try:
            guard(call.request.body or b"{}", customer.wire or b"{}", set(named_paths(self.changes)))
        except Exception as error:  # noqa: BLE001 (told below: the PUT has happened, and nothing can be refused any more)
            logger.error("after %s: %s", call.about, error)  # noqa: TRY400 (the traceback tells nothing more)


class Replacement(Update):
    """The PUT of a customer that was built by hand: what it leaves out is erased, or refused by the guard."""

    def _plan(self, present: bytes) -> UpdatePlan:
        # The service needs `id` and `status` in every PUT; a status that was not given stays as it is.
        body = encode({"status": Before(wire=present, given=True).status, **self.changes, "id": self.customer_id})
        return UpdatePlan(customer_id=self.customer_id, changes=differences(present, body), body=body)

    def _check_others(self, base: bytes, present: bytes, facts: dict[str, Any]) -> None:
        check_conflicts(base, present, self.changes, **facts)

    def _named(self, planned: UpdatePlan) -> Mapping[str, Any]:
        del planned
        return self.changes


def make_update(
    handle: Handle,
    operation: Operation,
    customer: int | Customer,
    changes: Mapping[str, Any],
    *,
    validate: bool = True,
    allow_erase: Collection[str] = (),
    allow_status_change: bool = False,
    check: Check = "fresh",
) -> Update:
    """An update from what the caller gave, checked before anything is sent."""
    if check not in {"fresh", "strict"}:
        raise ValidationError(f'check must be "fresh" or "strict", not {check!r}', field="check")
    customer_id, base = identify(customer)
    wired = wire_changes(changes)
    if isinstance(customer, Customer):
        wired = named_changes(customer) | wired
    if validate:
        check_changes(wired)
    check_status(wired, _status_of(base), allowed=True)
    return Update(
        handle,
        operation,
        customer_id,
        wired,
        base,
        check=check,
        allow_status_change=allow_status_change,
        allow_erase=frozenset(allow_erase),
    )


def make_replacement(
    handle: Handle,
    customer: Customer,
    *,
    allow_erase: Collection[str],
    allow_status_change: bool,
    validate: bool,
) -> Update:
    """The PUT of a whole customer, checked before anything is sent."""
    given: Any = customer
    if not isinstance(given, Customer):
        raise ValidationError(f"replace takes a Customer, not {type(given).__name__}", field="customer")
    customer_id, wire = identify(customer)
    changes = {key: value for key, value in named_changes(customer).items() if key != "id"}
    if validate:
        check_changes(changes)
    check_status(changes, _status_of(wire), allowed=True)
    kind = Update if wire is not None else Replacement
    return kind(
        handle,
        REPLACE,
        customer_id,
        changes,
        wire,
        whole=True,
        allow_status_change=allow_status_change,
        allow_erase=frozenset(allow_erase),
    )


def _status_of(wire: bytes | None) -> str | None:
    return None if wire is None else Before(wire=wire, given=True).status


async def plan_update(handle: Handle, customer: int | Customer, changes: Mapping[str, Any]) -> Response[UpdatePlan]:
    """Read, and show what an update would send."""
    update = make_update(handle, GET, customer, changes)
    response = await handle.read(GET, update.customer_id)
    wire = response.value.wire
    if update.base is not None:
        check_conflicts(update.base, wire, update.changes)
    check_status(update.changes, response.value.status, allowed=False)
    planned = plan(update.customer_id, wire, update.changes)
    guard(wire, planned.body, set(named_paths(update.changes)))
    response.value = planned
    return response


class Edit:
    """The block of `customers.edit`: reads at its start, and updates at its end what was assigned in it.

    No lock is held while the block runs: what others change meanwhile is merged, and in a field that the block
    assigned it raises `ConcurrentModificationError`. A block that ends with an error sends nothing.
    """

    def __init__(self, handle: Handle, operation: Operation, customer_id: int, options: Mapping[str, Any]) -> None:
        self._handle = handle
        self._operation = operation
        self._customer_id = customer_id
        self._options = options
        self._draft: CustomerDraft | None = None

    async def __aenter__(self) -> CustomerDraft:
        response = await self._handle.read(GET, self._customer_id)
        self._draft = draft_of(response.value)
        return self._draft

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None or self._draft is None:
            return
        update = make_update(self._handle, self._operation, self._draft, {}, **self._options)
        # The block may have waited for anything, so its own read is never young enough.
        update.always_read = True
        self._draft.finish((await update.run()).value)
