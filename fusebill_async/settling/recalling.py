"""What an earlier call with the same idempotency key came to, and what a later one does about it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import attrs

from fusebill_async.errors import FusebillError, NotUnresolvedError
from fusebill_async.models import Activation
from fusebill_async.operations import GET
from fusebill_async.outcome import Attribution, ConfirmedBy, Outcome
from fusebill_async.session.call import Call
from fusebill_async.session.manager import SessionManager
from fusebill_async.settling import write_errors
from fusebill_async.settling.keys import CallKey, Recorded
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.settling.protocols import Ledger
from fusebill_async.settling.resolving import Resolver
from fusebill_async.settling.response import Response
from fusebill_async.settling.seen import LastSeen, Reading
from fusebill_async.settling.write import Write
from fusebill_async.wire.request import build_request


@attrs.frozen(eq=False, repr=False)
class Recaller:
    """Looks a key up before its write is sent. The lock of the write is held meanwhile."""

    _session: SessionManager
    _ledger: Ledger
    _open_writes: OpenWrites
    _resolver: Resolver
    _seen: LastSeen

    async def find(self, key_id: str) -> Recorded | None:
        """What is kept under a key."""
        return await self._ledger.find(key_id)

    async def recall(self, write: Write, key: CallKey) -> Response[Any] | None:
        """The response of an earlier call that had the effect; None if the write is to be carried out.

        Raises:
            IdempotencyError: the key was used for another call.
            NotAppliedError: the earlier call was settled as not applied, and is not to be sent again.
            OutcomeUnknownError: reading does not settle the earlier call.
        """
        earlier = await self._ledger.find(key.id)
        if earlier is None:
            return None
        if earlier.digest != key.digest:
            raise write_errors.key_of_another_call(write, earlier)
        if earlier.outcome is Outcome.UNKNOWN:
            await self._settle(earlier)
            earlier = await self._ledger.find(key.id) or earlier
        match earlier.outcome:
            case Outcome.APPLIED:
                return await self._replay(write, earlier)
            case Outcome.UNKNOWN:
                raise write_errors.key_unknown(write, earlier)
            case Outcome.NOT_APPLIED if not write.resend:
                raise write_errors.key_not_applied(write)
            case _:
                # It had no effect: the next attempt takes over its key.
                write.replaces = earlier.intent_id
                return None

    async def _settle(self, earlier: Recorded) -> None:
        """Settle a call that was left open by a process that is gone, or by this one."""
        intent = self._open_writes.recorded(earlier.intent_id)
        if intent is not None:
            with suppress(NotUnresolvedError):
                await self._resolver.settle_held(intent)

    async def _replay(self, write: Write, earlier: Recorded) -> Response[Any]:
        """Give the customer as it is now, and send nothing else."""
        customer_id, operation = earlier.customer_id, write.call.operation
        told: dict[str, Any] = {
            "confirmed_by": ConfirmedBy.RECORD,
            "attribution": earlier.attribution or Attribution.UNPROVEN,
            "replayed": True,
        }
        if customer_id is None:
            return Response(value=None, status=earlier.status or 200, headers={}, attempts=(), **told)
        request = build_request(GET, customer_id)
        try:
            answer = await self._session.read(
                Call(GET, customer_id, request, write.call.options, parent_id=write.call.id or None)
            )
        except FusebillError as error:
            # Whatever became of the read: the call that the key names has had its effect.
            error.outcome = Outcome.APPLIED
            raise
        self._seen.remember(Reading.of(answer.value, answer.sent_at))
        return Response(
            value=Activation(customer=answer.value) if operation.answer == "activation" else answer.value,
            status=answer.status,
            headers=answer.headers,
            attempts=answer.attempts,
            **told,
        )
