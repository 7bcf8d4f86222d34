"""One update over all its attempts: takes the customer as it was read, gives the next PUT. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.converting import encode
from fusebill_async.errors import ConcurrentModificationError
from fusebill_async.operations import Operation
from fusebill_async.updating.changes import check_status, laid_over
from fusebill_async.updating.guarding import changed_by_others, check_conflicts, conflict, guard, named_paths
from fusebill_async.updating.merging import (
    UpdatePlan,
    differences,
    expected,
    plain,
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
        named: what a later read must show for it to have happened, by keys of the wire.
    """

    request: Request
    named: Mapping[str, Any]


@attrs.define(eq=False, kw_only=True)
class PendingUpdate:
    """What an update is to change, and what it was meant for.

    Attributes:
        operation, customer_id: the verb, and whom it acts on.
        texts: what is to be written, by keys of the wire, each value as its JSON text.
        base: the customer that the changes were meant for, as it came; then the one that the last PUT was based on.
        whole: the PUT sends the base as it is, so any change by somebody else is a conflict.
        from_scratch: the customer was built by hand: what it leaves out is erased, or refused by the guard.
        always_read: read right before the PUT, however young the base is.
        strict: read a second time, right before the PUT.
        allow_status_change, allow_erase: what the guards let pass.
        rounds: how often it is merged anew with the changes of others.
        changes: the same as `texts`, as JSON has it.
        based_on: the customer that the last PUT was laid over.
    """

    operation: Operation
    customer_id: int
    texts: Mapping[str, Any]
    base: bytes | None = None
    whole: bool = False
    from_scratch: bool = False
    always_read: bool = False
    strict: bool = False
    allow_status_change: bool = False
    allow_erase: frozenset[str] = frozenset()
    rounds: int = 5
    changes: Mapping[str, Any] = attrs.field(init=False)
    based_on: bytes | None = attrs.field(default=None, init=False)
    _times_overtaken: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.changes = plain(self.texts)

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
        self._check_others(first if self.base is None else self.base, present, facts)
        self.base = present
        check_status(self.changes, status_of(present), allowed=self.allow_status_change, **facts)
        planned = self._plan(present)
        if not planned and not self.whole and not in_doubt:
            return None
        guard(present, planned.body, set(named_paths(self.changes)), self.allow_erase, **facts)
        self.based_on = present
        named = expected(present, self.changes)
        if self.whole and not self.from_scratch:
            named = laid_over(written(planned.body), named)
        request = Request(self.operation.method, self.operation.path, planned.body)
        return Put(request=request, named=named)

    def _check_others(self, base: bytes, present: bytes, facts: Mapping[str, Any]) -> None:
        if base is present:
            return
        check_conflicts(base, present, self.changes, **facts)
        if self.from_scratch:
            return
        others = changed_by_others(base, present, self.changes)
        if not others:
            return
        if self.whole:
            raise conflict({change.field: (change.before, change.after, change.before) for change in others}, **facts)
        if self.based_on is not None:
            self._times_overtaken += 1
        if self._times_overtaken >= self.rounds:
            raise ConcurrentModificationError(
                f"{self.operation.title} was merged {self._times_overtaken} times with the changes of others, "
                "to no end",
                conflicts={change.field: (change.before, change.after, change.after) for change in others},
                **facts,
            )

    def _plan(self, present: bytes) -> UpdatePlan:
        if not self.from_scratch:
            return plan(self.customer_id, present, self.texts)
        # The service needs `id` and `status` in every PUT; a status that was not given stays as it is.
        body = encode({"status": status_of(present), **self.texts, "id": self.customer_id})
        return UpdatePlan(customer_id=self.customer_id, changes=differences(present, body), body=body)
