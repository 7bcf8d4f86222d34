"""One update over all its attempts: takes the customer as it was read, gives the next PUT. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.converting import WireObject, encode, read_object
from fusebill_async.errors import ConcurrentModificationError
from fusebill_async.operations import Operation
from fusebill_async.updating.changes import check_status, laid_over
from fusebill_async.updating.guarding import changed_by_others, check_conflicts, conflict, guard
from fusebill_async.updating.merging import (
    UpdatePlan,
    differences,
    expected,
    leaves,
    plan,
    status_of,
    written,
)
from fusebill_async.wire.request import Request


@attrs.frozen(kw_only=True)
class Put:
    """The next PUT of an update.

    Attributes:
        request: what is sent.
        shows: what a later read must show for it to have happened, by keys of the wire.
    """

    request: Request
    shows: Mapping[str, Any]


@attrs.define(eq=False, kw_only=True)
class PendingUpdate:
    """What an update is to change, and what it was meant for.

    Attributes:
        operation, customer_id: the verb, and whom it acts on.
        changes: what is to be written, by keys of the wire.
        base: the customer that the changes were meant for, as it came; then the one that the last PUT was based on.
        whole: the PUT sends the base as it is, so any change by somebody else is a conflict.
        from_scratch: the customer was built by hand: what it leaves out is erased, or refused by the guard.
        always_read: read right before the PUT, however young the base is.
        strict: read a second time, right before the PUT.
        allow_status_change, allow_erase: what the guards let pass.
        rounds: how often it is merged anew with the changes of others.
        named: the named fields by their Python names, and what each is to become.
        shows: what the answer to the last PUT must show of the named fields; None before the first one.
    """

    operation: Operation
    customer_id: int
    changes: WireObject
    base: bytes | None = None
    whole: bool = False
    from_scratch: bool = False
    always_read: bool = False
    strict: bool = False
    allow_status_change: bool = False
    allow_erase: frozenset[str] = frozenset()
    rounds: int = 5
    named: Mapping[str, Any] = attrs.field(init=False)
    shows: Mapping[str, Any] | None = attrs.field(default=None, init=False)
    _times_overtaken: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.named = dict(leaves(self.changes))

    def next_put(self, first: bytes, present: bytes, *, in_doubt: bool, facts: Mapping[str, Any]) -> Put | None:
        """The PUT that lays the changes over a customer; None if there is nothing to change.

        Args:
            first: the customer as it was read first in this attempt.
            present: the customer as it was read last; the PUT is laid over this one.
            in_doubt: an earlier PUT of this update may have acted, so it is sent even if nothing seems to change.
            facts: of the call, for errors.

        Raises:
            ConcurrentModificationError: somebody else changed what is named.
            WouldEraseError: the PUT would erase what nobody named.
            ValidationError: it would change the status.
        """
        customer = read_object(present)
        base = first if self.base is None else self.base
        if base is not present:
            self._check_others(read_object(base), customer, facts)
        self.base = present
        check_status(self.changes.values, status_of(customer), allowed=self.allow_status_change, **facts)
        planned = self._plan(customer)
        if not planned and not self.whole and not in_doubt:
            return None
        guard(planned.changes, self.named, self.allow_erase, **facts)
        self.shows = shows = expected(customer, self.changes)
        if self.whole and not self.from_scratch:
            shows = laid_over(written(read_object(planned.body)), shows)
        return Put(request=Request(self.operation.method, self.operation.path, planned.body), shows=shows)

    def as_asked(self) -> Request:
        """The PUT with the changes alone, to show what will be sent without a read."""
        body = encode({"id": self.customer_id, **self.changes.texts})
        return Request(self.operation.method, self.operation.path, body)

    def _check_others(self, base: WireObject, present: WireObject, facts: Mapping[str, Any]) -> None:
        changed = differences(base, present)
        check_conflicts(changed, self.named, **facts)
        others = () if self.from_scratch else changed_by_others(changed, self.named)
        if not others:
            return
        if self.whole:
            raise conflict({change.field: (change.before, change.after, change.before) for change in others}, **facts)
        if self.shows is not None:
            self._times_overtaken += 1
        if self._times_overtaken >= self.rounds:
            raise ConcurrentModificationError(
                f"{self.operation.title} was merged {self._times_overtaken} times with the changes of others, "
                "to no end",
                conflicts={change.field: (change.before, change.after, change.after) for change in others},
                **facts,
            )

    def _plan(self, present: WireObject) -> UpdatePlan:
        if not self.from_scratch:
            return plan(self.customer_id, present, self.changes)
        # The service needs `id` and `status` in every PUT; a status that was not given stays as it is.
        body = encode({"status": status_of(present), **self.changes.texts, "id": self.customer_id})
        return UpdatePlan(customer_id=self.customer_id, changes=differences(present, read_object(body)), body=body)
