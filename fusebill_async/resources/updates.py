"""The flow of an update: read, lay the changes over the wire form, guard, PUT, compare."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_customer, encode
from fusebill_async.errors import (
    ConcurrentModificationError,
    FieldsNotTakenError,
    InvalidResponseError,
    ValidationError,
)
from fusebill_async.models import Customer
from fusebill_async.operations import GET, REPLACE, UPDATE, Operation
from fusebill_async.outcome import Attribution, ConfirmedBy
from fusebill_async.resources.handle import Handle, identify
from fusebill_async.session.admission import Permit
from fusebill_async.session.call import Answer, Call, PrepareAnewError
from fusebill_async.settling.response import Response, response_of
from fusebill_async.settling.seen import lags_behind, modified_text
from fusebill_async.settling.write import Write
from fusebill_async.shown import shown
from fusebill_async.updating.changes import check_status, laid_over, model_changes, wire_changes
from fusebill_async.updating.draft import CustomerDraft, draft_of
from fusebill_async.updating.guarding import (
    changed_by_others,
    check_conflicts,
    conflict,
    erased,
    guard,
    named_paths,
    not_taken,
)
from fusebill_async.updating.merging import (
    UpdatePlan,
    differences,
    expected,
    frozen,
    plain,
    plan,
    status_of,
    unechoed,
    written,
)
from fusebill_async.updating.rules import check_changes
from fusebill_async.wire.request import Request, build_request
from fusebill_async.wire.shapes import is_several

logger = logging.getLogger("fusebill_async")

Check: TypeAlias = Literal["fresh", "strict"]


_OLDEST_READ = 1.0
"""Seconds from the sending of a read to the PUT that rests on it, where `UpdatePolicy.max_read_age` allows no more."""


class NothingToSend(Exception):  # noqa: N818 (not an error: the customer is already as wanted)
    """The customer is already as wanted."""


@attrs.define(eq=False, repr=False)
class Update:
    """One update over all its rounds.

    A round reads the customer, unless it was read just now, lays the changes over what it read, and sends the PUT
    in the place of the pool that the read was made in: between the read and the PUT nobody else is waited for.

    Attributes:
        texts: what is to be written, by keys of the wire, each value as its JSON text.
        base: the wire form that the changes were meant for; from the first round on, what that round read.
        whole: the PUT sends the base as it is, so any change by somebody else is a conflict.
        always_read: read right before the PUT, however young the base is.
    """

    handle: Handle
    operation: Operation
    customer_id: int
    texts: Mapping[str, Any]
    base: bytes | None = None
    whole: bool = False
    always_read: bool = False
    check: Check = "fresh"
    allow_status_change: bool = False
    allow_erase: frozenset[str] = frozenset()
    changes: Mapping[str, Any] = attrs.field(init=False)
    """The same as JSON has it, for comparing."""
    _rounds: int = attrs.field(default=0, init=False)
    _overtaken: int = attrs.field(default=0, init=False)
    _sent_from: bytes | None = attrs.field(default=None, init=False)
    _answer: Answer | None = attrs.field(default=None, init=False)
    _lagging: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.changes = plain(self.texts)

    async def run(self) -> Response[Customer]:
        """Carry it out."""
        handle = self.handle
        call = Call(self.operation, self.customer_id, None, handle.options)
        call.requests_per_attempt = self._requests()
        write = Write(call, {}, resend=True, prepare=self._prepare)
        try:
            response = await handle.settler.write(write)
        except NothingToSend:
            return self._unchanged(call)
        self._compare(call, response)
        return response

    def _unchanged(self, call: Call) -> Response[Customer]:
        """The response that says that there was nothing to do: "already", by what was read."""
        answer = self._answer
        if answer is None:
            assert self.base is not None
            answer = Answer(decode_customer(self.base), 200, {}, 0.0, 0.0, 0)
        return response_of(call, answer, confirmed_by=ConfirmedBy.READ, attribution=Attribution.ALREADY)

    def _requests(self) -> int:
        return 1 + (not self._is_young(self.base)) + (self.check == "strict")

    def _is_young(self, wire: bytes | None) -> bool:
        """Whether a PUT may rest on this read: it is the last that came, and nobody in reach wrote since."""
        if wire is None or self._rounds or self.always_read:
            return False
        settler = self.handle.settler
        seen = settler.seen.of(self.customer_id)
        if seen is None or not seen.whole or seen.wire != wire:
            return False
        age = settler.session.effects.now() - seen.sent_at
        return age <= self.handle.updates.max_read_age and self._is_alone()

    def _is_alone(self) -> bool:
        """Whether every write that this client knows of has ended, and no other client shares its store."""
        settler = self.handle.settler
        if settler.store.locks.shared:
            return False
        return all(write.customer_id != self.customer_id or write.state != "unknown" for write in settler.unresolved())

    async def _prepare(self, write: Write, permit: Permit) -> None:
        """Make the PUT of this round, from a customer that was read after everything that was waited for."""
        base = self.base
        try:
            seen = self.handle.settler.seen.of(self.customer_id)
            if base is not None and seen is not None and self._is_young(base):
                present, sent_at = base, seen.sent_at
            else:
                present, sent_at = await self._read(write, permit, base)
            if self.check == "strict":
                # The base of the comparison is the first read; the second one is what the PUT rests on.
                base = base or present
                present, sent_at = await self._read(write, permit, base)
            write.call.send_by = sent_at + max(_OLDEST_READ, self.handle.updates.max_read_age)
            self._rounds += 1
            facts = write.call.facts
            if base is not None:
                self._check_others(base, present, facts)
            self.base = present
            self._send_next(write, present, facts)
        except UnreadableAnswer as error:
            raise InvalidResponseError(
                f"{write.call.about} was not sent: the customer cannot be read: {error.reason}", **write.call.facts
            ) from None
        # Later rounds read anew, whatever this one could do without.
        write.call.requests_per_attempt = 2 + (self.check == "strict")

    async def _read(self, write: Write, permit: Permit, base: bytes | None) -> tuple[bytes, float]:
        """Read the customer: its wire form, and when the read was sent. One that lags behind is made again."""
        call = Call(GET, self.customer_id, build_request(GET, self.customer_id), write.call.options)
        call.spent, call.past, call.tries = write.call.spent, write.call.past, write.call.tries
        try:
            answer = await self.handle.session.read_within(call, permit)
        finally:
            write.call.spent, write.call.past, write.call.tries = call.spent, call.past, call.tries
        wire: bytes = answer.value.wire
        seen = self.handle.settler.seen
        seen.remember(answer.value, answer.sent_at)
        newest = seen.newest(self.customer_id, self.handle.session.effects.now())
        if lags_behind(wire, newest, None if base is None else modified_text(base)):
            self._lagging += 1
            raise PrepareAnewError("every read was older than what was seen of the customer", self._lagging)
        self._lagging = 0
        self._answer = answer
        return wire, answer.sent_at

    def _check_others(self, base: bytes, present: bytes, facts: dict[str, Any]) -> None:
        others = changed_by_others(base, present, self.changes)
        if self.whole and others:
            raise conflict({change.field: (change.before, change.after, change.before) for change in others}, **facts)
        check_conflicts(base, present, self.changes, **facts)
        if others and self._rounds > 1:
            self._overtaken += 1
            if self._overtaken >= self.handle.updates.rounds:
                raise ConcurrentModificationError(
                    f"{self.operation.title} was merged {self._overtaken} times with the changes of others, to no end",
                    conflicts={change.field: (change.before, change.after, change.after) for change in others},
                    **facts,
                )

    def _send_next(self, write: Write, present: bytes, facts: dict[str, Any]) -> None:
        check_status(self.changes, status_of(present), allowed=self.allow_status_change, **facts)
        planned = self._plan(present)
        if not planned and not self.whole and not write.doubtful:
            raise NothingToSend
        guard(present, planned.body, set(named_paths(self.changes)), self.allow_erase, **facts)
        self._sent_from = present
        write.named = self._named(present, planned)
        write.knows(present, recent=True)
        write.call.request = Request(self.operation.method, self.operation.path, planned.body)

    def _plan(self, present: bytes) -> UpdatePlan:
        return plan(self.customer_id, present, self.texts)

    def _named(self, present: bytes, planned: UpdatePlan) -> Mapping[str, Any]:
        """What a later read must show for the PUT to have happened."""
        named = expected(present, self.changes)
        return laid_over(written(planned.body), named) if self.whole else named

    def _compare(self, call: Call, response: Response[Customer]) -> None:
        """Compare the answer with what was sent: a field that the service did not take is told, not hidden."""
        customer = response.value
        shown = customer.wire or b"{}"
        if response.confirmed_by is ConfirmedBy.READ or call.request is None:
            # Every named field was found as it was sent, and what else is different may be somebody else's.
            return
        body = call.request.body or b"{}"
        different = not_taken(expected(self._sent_from or body, self.changes), shown)
        for name in erased(body, shown, {*named_paths(self.changes), *different}, only_shown=True):
            different[name] = (_at(body, name), None)
        if different:
            told = "; ".join(f"{name}: sent {sent!r}, shown {now!r}" for name, (sent, now) in different.items())
            raise FieldsNotTakenError(
                f"{call.about} was applied, but not as sent: {told}", fields=different, customer=customer, **call.facts
            )
        absent = erased(body, shown, set(named_paths(self.changes)))
        if absent:
            logger.warning("the answer to %s does not show %s", call.about, ", ".join(absent))


def _at(wire: bytes, name: str) -> Any:
    return next((change.after for change in differences(b"{}", wire) if change.field == name), None)


class Replacement(Update):
    """The PUT of a customer that was built by hand: what it leaves out is erased, or refused by the guard."""

    def _plan(self, present: bytes) -> UpdatePlan:
        # The service needs `id` and `status` in every PUT; a status that was not given stays as it is.
        body = encode({"status": status_of(present), **self.texts, "id": self.customer_id})
        return UpdatePlan(customer_id=self.customer_id, changes=differences(present, body), body=body)

    def _check_others(self, base: bytes, present: bytes, facts: dict[str, Any]) -> None:
        check_conflicts(base, present, self.changes, **facts)

    def _named(self, present: bytes, planned: UpdatePlan) -> Mapping[str, Any]:
        del planned
        return expected(present, self.changes)


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
    """An update from what the caller gave, checked before anything is sent.

    A value that the customer handed in has already is not checked: it may be older than the rules.
    """
    # No set: what was given may have no hash.
    if check not in ("fresh", "strict"):
        raise ValidationError(f'check must be "fresh" or "strict", not {shown(check)}', field="check")
    customer_id, base = identify(customer)
    wired = wire_changes(changes)
    if isinstance(customer, Customer):
        wired = laid_over(model_changes(customer), wired)
    texts = frozen(wired)
    if validate:
        check_changes(plain(texts if base is None else unechoed(base, texts)))
    if base is not None:
        check_status(plain(texts), status_of(base), allowed=True)
    return Update(
        handle,
        operation,
        customer_id,
        texts,
        base,
        check=check,
        allow_status_change=allow_status_change,
        allow_erase=_names(allow_erase),
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
    texts = frozen(model_changes(customer, whole=True))
    if validate:
        check_changes(plain(texts))
    if wire is not None:
        check_status(plain(texts), status_of(wire), allowed=True)
    kind = Update if wire is not None else Replacement
    return kind(
        handle,
        REPLACE,
        customer_id,
        texts,
        wire,
        whole=True,
        allow_status_change=allow_status_change,
        allow_erase=_names(allow_erase),
    )


def _names(allow_erase: Collection[str]) -> frozenset[str]:
    names: list[Any] = list(allow_erase) if is_several(allow_erase) else [None]
    if not all(isinstance(name, str) for name in names):
        raise ValidationError(f"allow_erase must be a set of names, not {shown(allow_erase)}", field="allow_erase")
    return frozenset(names)


async def plan_update(
    handle: Handle,
    customer: int | Customer,
    changes: Mapping[str, Any],
    *,
    validate: bool = True,
    allow_erase: Collection[str] = (),
    allow_status_change: bool = False,
) -> Response[UpdatePlan]:
    """Read, and show what an update would send. Raises what the update would raise."""
    update = make_update(handle, UPDATE, customer, changes, validate=validate, allow_erase=allow_erase)
    read = await handle.read_newest(update.customer_id, update.base)
    wire = read.value.wire or b"{}"
    facts = {"operation": UPDATE.name, "customer_id": update.customer_id}
    if update.base is not None:
        check_conflicts(update.base, wire, update.changes, **facts)
    check_status(update.changes, status_of(wire), allowed=allow_status_change, **facts)
    planned = plan(update.customer_id, wire, update.texts)
    guard(wire, planned.body, set(named_paths(update.changes)), update.allow_erase, **facts)
    response: Response[Any] = read
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
        response = await self._handle.read_newest(self._customer_id)
        self._draft = draft_of(response.value)
        return self._draft

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None or self._draft is None:
            return
        update = make_update(self._handle, self._operation, self._draft, {}, **self._options)
        if not update.changes:
            assert update.base is not None
            self._draft.finish(decode_customer(update.base))
            return
        # The block may have waited for anything, so its own read is never young enough.
        update.always_read = True
        self._draft.finish((await update.run()).value)
