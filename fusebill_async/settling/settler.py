"""Carries a write to a true outcome, whatever becomes of its answer and of its caller."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import uuid
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from fusebill_async.errors import (
    APIError,
    ClientStateError,
    FusebillError,
    NotAppliedError,
    NotUnresolvedError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeoutError,
    UnresolvedWritesWarning,
)
from fusebill_async.models import Activation, Customer
from fusebill_async.operations import BY_TITLE, Operation, Safety
from fusebill_async.outcome import Attribution, ConfirmedBy, Outcome
from fusebill_async.policy.retry import AfterMiss, after_miss
from fusebill_async.session.admission import Permit
from fusebill_async.session.call import Answer, Call, UnsettledError
from fusebill_async.session.hooks import Listeners
from fusebill_async.session.manager import SessionManager
from fusebill_async.settings import SettlingPolicy, Timeouts
from fusebill_async.settling.already import may_be_so_already, speaks_for_goal
from fusebill_async.settling.closing import ClosedWhenTold
from fusebill_async.settling.inquiry import FoundAppliedError, Inquiry, Settled
from fusebill_async.settling.intent import Intent, UnresolvedWrite
from fusebill_async.settling.resolution import Resolution, resolution_of
from fusebill_async.settling.response import Response, response_of
from fusebill_async.settling.searching import reference_lock
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.write import Write, listed
from fusebill_async.shown import shown

if TYPE_CHECKING:
    from fusebill_async.settling.protocols import Store

logger = logging.getLogger("fusebill_async")

Ended: TypeAlias = Answer | UnsettledError | FusebillError
"""How the sending of a write ended."""

_READ_FOR_AGAIN = frozenset({Safety.MONEY, Safety.CREATE})
"""What is read for before it is sent again, even if it was only refused for the quota."""

_CLOCK_MARGIN = 300.0
"""Seconds that the local clock may be off, as long as the service has not told its time."""


class Settler:
    """Sends writes in tasks of their own, settles what stays unanswered, and knows what is open."""

    def __init__(
        self,
        session: SessionManager,
        store: Store,
        policy: SettlingPolicy,
        *,
        timeouts: Timeouts,
        hooks: Listeners,
    ) -> None:
        self.session = session
        self.store = store
        self.policy = policy
        self.seen = LastSeen()
        self.inquiry = Inquiry(session, policy, self.seen, timeouts=timeouts, hooks=hooks)
        # No set: the order of one differs from process to process, and so would the order in which they are cancelled.
        self._under_way: dict[Write, None] = {}
        self._closing = ClosedWhenTold(store.ledger)
        self._unknown: dict[str, Write] = {}
        self._recorded = store.ledger.durable or store.locks.shared
        """Whether a write must be recorded before its first byte; in memory it is when its outcome is in doubt."""
        self._name = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)

    # --- a write, as its caller sees it

    async def write(self, write: Write) -> Response[Any]:
        """Carry out a write.

        A cancelled caller gets its `CancelledError` at once; a write that is under way goes on without it.

        Raises:
            FusebillError: with the true outcome.
        """
        loop = asyncio.get_running_loop()
        noticed = write.noticed = loop.create_future()
        self._under_way[write] = None
        # The task of its own is what lets it outlive its caller. It is also faster than to run it in the caller's
        # task: under load the event loop then does the same step of many calls one after the other. For that it
        # must not begin at once, as it would by some task factories; and a name of its own would cost more.
        task = write.task = asyncio.Task(self._carry_out(write), loop=loop, name="fusebill_async: a write")
        try:
            await noticed
            if write.settling:
                await self._wait_for_settling(write, task)
        except asyncio.CancelledError:
            if not write.call.at_risk or write.call.options.on_cancel == "abort":
                task.cancel()
            raise
        finally:
            write.told = True
            if write.intent is not None:
                self._closing.told(write.intent)
        if write.failed is not None:
            raise write.take_error()
        if write.response is not None:
            return write.response
        raise self._still_unknown(write)

    async def _wait_for_settling(self, write: Write, task: asyncio.Task[None]) -> None:
        """Wait as long as a caller waits for reading; what is sent again meanwhile is waited for as any attempt is."""
        clock = asyncio.ensure_future(self.session.effects.sleep(self.policy.wait))
        try:
            await asyncio.wait({task, clock}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            clock.cancel()
        while not task.done() and not (write.settling and write.call.at_risk):
            write.noticed = asyncio.get_running_loop().create_future()
            await write.noticed

    def _still_unknown(self, write: Write) -> FusebillError:
        # Only closing the client ends the task of a write whose caller still waits.
        if not write.call.at_risk:
            outcome = Outcome.NOT_APPLIED if write.doubtful else Outcome.NOT_SENT
            return ClientStateError(
                f"{write.call.about} was dropped: the client was closed", outcome=outcome, **write.call.facts
            )
        if write.state == "unknown":
            return self._unknown_error(write, "the client was closed")
        lost = f" and lost its answer ({write.call.past[-1].reason})" if write.call.past else ""
        return OutcomeUnknownError(
            f"{write.call.about} was sent{lost}, and reading the customer has not settled it within "
            f"{self.policy.wait:g} s; settling goes on in the background (client.unresolved(), client.resolve())",
            reading=write.last_reading,
            intent_id=self._intent_of(write).id,
            **write.call.facts,
        )

    # --- a write, as it goes on

    async def _carry_out(self, write: Write) -> None:
        """The whole of a write. Its end is left on the write, whoever is there to look at it."""
        call = write.call
        customer_id = call.customer_id
        locks = self.store.locks
        locked = _lock_of(write)
        try:
            if locked is not None and not locks.acquire_now(locked):
                await self._wait_for_lock(call, locked)
            try:
                if customer_id is not None:
                    self.seen.hear(customer_id, locks.newest(customer_id))
                    seen = self.seen.of(customer_id)
                    if seen is not None:
                        write.has_seen(seen, self.session.effects.now())
                if locked is not None and self.store.locks.shared:
                    call.check = self._lease_check(call, locked)
                if write.prepare is not None or self._recorded or call.operation.safety in _READ_FOR_AGAIN:
                    call.prepare = self._preparation(write)
                ended: Ended
                try:
                    ended = await self.session.send(call)
                except (UnsettledError, FusebillError) as error:
                    ended = error.with_traceback(None)
                if isinstance(ended, Answer) and self.inquiry.shows_effect(write, ended.value):
                    write.response = self._answered(write, ended)
                else:
                    write.response = await self._until_settled(write, ended)
            except FoundAppliedError as found:
                write.response = self._confirmed(write, found.settled, refused=True)
            finally:
                try:
                    if call.at_risk or write.recorded:
                        await self._leave(write)
                finally:
                    if locked is not None:
                        self._give_back(locked)
        except FusebillError as error:
            error.operation = call.operation.name
            # The frames in which it was raised know it, and the write: they would keep each other alive.
            write.fail(error.with_traceback(None))
        except Exception as error:  # noqa: BLE001 (raised by whoever waits for the write)
            write.fail(error)
        finally:
            # They know the write, which knows the call.
            call.prepare = call.check = None
            self._under_way.pop(write, None)
            write.notice()
            if write.told and write.intent is not None:
                self._closing.close(write.intent)
            if write.failed is not None and write.noticed is not None and write.noticed.cancelled():
                logger.warning("%s, whose caller was cancelled, ended with: %s", call.about, write.failed.reason)

    def _give_back(self, locked: int) -> None:
        """Give a lock back, and leave with it what the next holder has to know."""
        newest = self.seen.newest(locked, self.session.effects.now())
        self.seen.hear(locked, None)
        self.store.locks.release(locked, newest)

    async def _wait_for_lock(self, call: Call, locked: int) -> None:
        queue = call.options.timeouts.queue
        started = self.session.effects.now()
        in_time = True
        try:
            await self.store.locks.acquire(locked, queue)
        except TimeoutError:
            in_time = False
        call.queued += self.session.effects.now() - started
        if not in_time:
            raise RequestTimeoutError(
                f"{call.about} was not sent: another write of this customer was not settled within {queue:g} s "
                "(client.unresolved() lists it)",
                **call.facts,
            )

    def _preparation(self, write: Write) -> Any:
        async def prepare(_call: Call, permit: Permit) -> None:
            if write.call.throttled:
                await self._look_again(write, permit)
            if write.prepare is not None:
                await write.prepare(write, permit)
            if self._recorded:
                await self._open_intent(write)

        return prepare

    async def _look_again(self, write: Write, permit: Permit) -> None:
        """Read for a write that was refused for the quota: it is sent again only if all stands as before.

        Raises:
            FoundAppliedError: it has happened already.
            RateLimitError: the customer shows something else than before.
        """
        call = write.call
        read = self.inquiry.look_again(write)
        if read is None:
            return
        read.spent, read.past, read.tries = call.spent, call.past, call.tries
        try:
            answer = await self.session.read_within(read, permit)
        finally:
            call.spent, call.past, call.tries = read.spent, read.past, read.tries
        settled = self.inquiry.found_again(write, answer)
        call.throttled = False
        if settled is None:
            return
        if settled.outcome is Outcome.APPLIED:
            raise FoundAppliedError(settled)
        raise RateLimitError(
            f"429: {call.about} was refused for the quota, and not sent again: {settled.reason}",
            status=429,
            outcome=Outcome.NOT_APPLIED if write.doubtful else Outcome.REJECTED,
            **call.facts,
        )

    def _lease_check(self, call: Call, locked: int) -> Callable[[], FusebillError | None]:
        """Looks at the lease when a connection is handed out: while one is made, a process may stand still."""

        def check() -> FusebillError | None:
            if self.store.locks.still_held(locked):
                return None
            return RequestTimeoutError(
                f"{call.about} was not sent: while it waited, its lease on the customer ran out", **call.facts
            )

        return check

    async def _open_intent(self, write: Write) -> None:
        intent = self._intent_of(write)
        if write.recorded and intent.named is write.named:
            return
        if write.recorded:
            # A later round of an update compares with what it sends, not with what an earlier one sent.
            intent.named, intent.before = write.named, write.before
        # From here on it may stand in the ledger, even if we are cancelled while it is written.
        write.recorded = True
        await self.store.ledger.open(intent)

    def _intent_of(self, write: Write) -> Intent:
        if write.intent is not None:
            return write.intent
        write.intent = Intent(
            id=f"{self._name}-{next(self._numbers)}",
            operation=write.call.operation.title,
            customer_id=write.call.customer_id,
            named=write.named,
            opened_at=self._service_time(),
            before=write.before,
        )
        return write.intent

    def _service_time(self) -> float:
        bounds = self.session.clock.service_time(self.session.effects.now())
        return bounds[0] if bounds is not None else time.time() - _CLOCK_MARGIN

    async def _leave(self, write: Write) -> None:
        """Let the intent be closed if the outcome is known; else it stays open, for `resolve` or another process."""
        if write.call.at_risk:
            await self._open_intent(write)
            write.state = "unknown"
            self._unknown[self._intent_of(write).id] = write
        elif write.recorded:
            self._closing.keep(self._intent_of(write))

    async def _until_settled(self, write: Write, ended: Ended) -> Response[Any]:
        """Find out what became of a write that ended without an answer, or with one that does not show its effect."""
        call = write.call
        while True:
            # Words that are believed end the write, unless it may be so already. Others are settled by reading.
            told = ended if isinstance(ended, FusebillError) else None
            doubted = ended.refusal if isinstance(ended, UnsettledError) else None
            if isinstance(ended, Answer):
                # An answer to another question: what it shows is from before.
                reason = "the answer does not show the effect"
                if call.operation.safety is Safety.CREATE:
                    reason = f"the answer is about another customer, {ended.value.id}"
                logger.error("%s: %s", call.about, reason)
            else:
                reason = ended.reason if isinstance(ended, UnsettledError) else str(ended)
            if told is not None and not may_be_so_already(
                call.operation, told, write.before, write.named, doubtful=write.doubtful
            ):
                raise _told_of_the_write(write, told)
            call.at_risk = True
            write.doubtful = write.doubtful or told is None
            await self._open_intent(write)
            speaks = told is not None and speaks_for_goal(call.operation, told)
            settled = await self.inquiry.settle(write, reason, once=told is not None and not speaks)
            if settled.outcome is Outcome.APPLIED:
                return self._confirmed(write, settled, refused=told is not None)
            if told is not None and not speaks and (settled.reading is not None or not write.doubtful):
                # "Already so" would have been evidence; the reading shows that it is not so.
                call.at_risk = False
                raise told
            if settled.outcome is Outcome.UNKNOWN or speaks:
                raise self._unknown_error(write, settled.reason)
            call.at_risk = False
            self._end_after_miss(write, settled, doubted)
            write.state = "in flight"
            try:
                ended = await self.session.send(call)
            except (UnsettledError, FusebillError) as error:
                ended = error.with_traceback(None)
            if isinstance(ended, Answer) and self.inquiry.shows_effect(write, ended.value):
                return self._answered(write, ended)

    def _end_after_miss(self, write: Write, settled: Settled, doubted: APIError | None) -> None:
        """Raise what a write ends with that did not happen, unless it may be sent again."""
        status = None if doubted is None else doubted.status
        follows = after_miss(write.call.operation.safety, resend=write.resend, refused_with=status)
        if follows is AfterMiss.REJECTED and doubted is not None:
            raise doubted
        if follows is not AfterMiss.SEND_AGAIN or not self._may_send_again(write):
            raise self._not_applied_error(write, settled)

    def _may_send_again(self, write: Write) -> bool:
        call = write.call
        call.tries += 1
        return (
            call.tries < call.options.retry.max_attempts
            and call.spent < call.options.timeouts.total
            and call.options.budget.take(self.session.effects.now())
        )

    def _answered(self, write: Write, answer: Answer) -> Response[Any]:
        call = write.call
        if isinstance(answer.value, (Customer, Activation)):
            self.seen.remember(answer.value, answer.sent_at)
        if call.operation.safety is Safety.CREATE:
            self.inquiry.note_made(answer.value)
        return response_of(call, answer)

    # --- the ends

    def _confirmed(self, write: Write, settled: Settled, *, refused: bool) -> Response[Any]:
        assert settled.answer is not None
        write.call.at_risk = False
        attribution = settled.attribution
        if refused and attribution is Attribution.OURS:
            # The service has refused to do it: perhaps since a copy of our own had done it, perhaps somebody else.
            attribution = Attribution.UNPROVEN
        customer = settled.answer.value
        self.seen.remember(customer, settled.answer.sent_at)
        value = Activation(customer=customer) if write.call.operation.answer == "activation" else customer
        response = response_of(write.call, settled.answer, confirmed_by=ConfirmedBy.READ, attribution=attribution)
        response.value = value
        return response

    def _unknown_error(self, write: Write, reason: str) -> OutcomeUnknownError:
        reading = write.last_reading
        status = reading.status if reading is not None else None
        read = f"; the customer was last read with status {status}" if status else ""
        return OutcomeUnknownError(
            f"{write.call.about} was sent, and its outcome is unknown: {reason}{read}",
            reading=reading,
            intent_id=write.intent.id if write.intent is not None else None,
            **write.call.facts,
        )

    def _not_applied_error(self, write: Write, settled: Settled) -> NotAppliedError:
        quiet = self.policy.quiet_seconds(moves_money=write.call.operation.moves_money)
        again = "" if write.resend else "; it was not sent again, since resend=True was not given"
        shown = "reads {} s apart show the customer as it was before"
        if write.call.customer_id is None:
            shown = "searches for its reference {} s apart found no such customer"
        return NotAppliedError(
            f"{write.call.about} did not happen: {settled.reason}, and {shown.format(f'{quiet:g}')}"
            f"{again}. This rests on no effect coming later than {quiet:g} s after it was sent",
            quiet_period=quiet,
            reading=settled.reading,
            **write.call.facts,
        )

    # --- what is open

    def unresolved(self) -> list[UnresolvedWrite]:
        """Every write whose outcome is not known, oldest first."""
        under_way = {self._intent_of(write).id: write for write in self._under_way if write.call.at_risk}
        recorded = {intent.id: listed(intent, "unknown") for intent in self._open_intents()}
        return list((recorded | {name: write.unresolved() for name, write in under_way.items()}).values())

    def _open_intents(self) -> list[Intent]:
        """Those in the ledger whose outcome is not known here."""
        return [intent for intent in self.store.ledger.unresolved() if intent.id not in self._closing]

    async def resolve(self, intent_id: str) -> Resolution:
        """Settle one unresolved write by reading; never sends it again.

        Args:
            intent_id: its name.

        Raises:
            NotUnresolvedError: there is no such unresolved write.
        """
        under_way = next((w for w in self._under_way if w.intent is not None and w.intent.id == intent_id), None)
        if under_way is not None:
            assert under_way.task is not None
            await asyncio.wait({under_way.task})
        intent = next((i for i in self._open_intents() if i.id == intent_id), None)
        if intent is None:
            if under_way is not None and under_way.intent is not None:
                return resolution_of(under_way)
            raise _not_unresolved(intent_id)
        return await self._resolve(self._unknown.get(intent_id) or self._revived(intent), intent)

    def _revived(self, intent: Intent) -> Write:
        """The write that another process left open."""
        operation: Operation = BY_TITLE[intent.operation]
        call = Call(operation, intent.customer_id, None, self.inquiry.read_options)
        call.at_risk = True
        write = Write(call, intent.named, resend=False)
        write.before, write.intent, write.recorded = intent.before, intent, True
        return write

    async def _resolve(self, write: Write, intent: Intent) -> Resolution:
        customer_id, locked = intent.customer_id, _lock_of(write)
        if locked is not None:
            await self.store.locks.acquire(locked, None)
        if customer_id is not None:
            self.seen.hear(customer_id, self.store.locks.newest(customer_id))
        try:
            if all(other.id != intent.id for other in self._open_intents()):
                # Its owner, or somebody else who resolves it, has settled it while we waited for the lock.
                raise _not_unresolved(intent.id)
            settled = await self.inquiry.settle(write, "no usable answer came")
            write.state = "unknown"
            if settled.outcome is not Outcome.UNKNOWN:
                write.call.at_risk = False
                self._unknown.pop(intent.id, None)
                self._closing.keep(intent)
        finally:
            if locked is not None:
                self._give_back(locked)
        self._closing.told(intent)
        return Resolution(
            write=listed(intent, "unknown"),
            outcome=settled.outcome,
            attribution=settled.attribution if settled.outcome is Outcome.APPLIED else None,
            customer=settled.reading.customer if settled.reading is not None else None,
            reason=settled.reason,
        )

    async def aclose(self) -> None:
        """Wait for what is under way, bounded by `SettlingPolicy(close_wait=)`; name what stays unresolved."""
        for write in list(self._under_way):
            if not write.call.at_risk and write.task is not None:
                write.task.cancel()
        tasks = [write.task for write in self._under_way if write.task is not None]
        if tasks:
            clock = asyncio.ensure_future(self.session.effects.sleep(self.policy.close_wait))
            try:
                waiting = set(tasks)
                while waiting and not clock.done():
                    done, _ = await asyncio.wait({*waiting, clock}, return_when=asyncio.FIRST_COMPLETED)
                    waiting -= done
            finally:
                clock.cancel()
                self.inquiry.close()
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._closing.aclose()
        # Only our own: a store that is shared also shows what other processes have in flight.
        left = [*self._unknown.values(), *(write for write in self._under_way if write.call.at_risk)]
        if left:
            names = ", ".join(str(listed(self._intent_of(write), write.state)) for write in left)
            warnings.warn(f"closed with unresolved writes: {names}", UnresolvedWritesWarning, stacklevel=3)
            logger.warning("closed with unresolved writes: %s", names)


def _not_unresolved(intent_id: object) -> NotUnresolvedError:
    return NotUnresolvedError(f"no unresolved write has the id {shown(intent_id)}: client.unresolved() lists them")


def _lock_of(write: Write) -> int | None:
    """The lock that a write holds, and whoever settles it for another process, so that no two act at once."""
    if write.call.operation.safety is Safety.CREATE:
        # Two creates with one reference at once could take each other's customer for their own.
        return reference_lock(write.named)
    return write.call.customer_id


def _told_of_the_write(write: Write, error: FusebillError) -> FusebillError:
    """An error of the last attempt, or of the read before it, as an error of the whole write."""
    error.operation = write.call.operation.name
    if write.call.at_risk or error.outcome not in {Outcome.NOT_SENT, Outcome.UNKNOWN}:
        return error
    # An outcome that is unknown while nothing is at risk is that of the read that comes before a PUT.
    if write.doubtful:
        error.outcome = Outcome.NOT_APPLIED
    else:
        # What was sent and is at no risk was refused: for the quota, as everything else ends the write.
        error.outcome = Outcome.REJECTED if write.call.first_sent_at else Outcome.NOT_SENT
    return error


MAY_BE_SENT_AGAIN = frozenset({Safety.REPEATABLE, Safety.REPLACE})
"""What is sent again by default after it was settled as not applied."""
