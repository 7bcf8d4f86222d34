"""Carries a write to a true outcome, whatever becomes of its answer and of its caller."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import uuid
import warnings
from collections.abc import Sequence
from typing import Any

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_customer
from fusebill_async.errors import (
    APIError,
    ClientStateError,
    FusebillError,
    NotAppliedError,
    NotFoundError,
    OutcomeUnknownError,
    RequestTimeoutError,
    UnresolvedWritesWarning,
)
from fusebill_async.models import Activation, Customer
from fusebill_async.operations import BY_TITLE, GET, LIST, FoundByReference, Operation, Safety
from fusebill_async.outcome import Attribution, ConfirmedBy, Outcome
from fusebill_async.policy.priority import Priority
from fusebill_async.policy.retry import RetryBudget
from fusebill_async.session.admission import Permit
from fusebill_async.session.call import Answer, Call, CallOptions, UnsettledError
from fusebill_async.session.hooks import Hooks
from fusebill_async.session.manager import SessionManager
from fusebill_async.settings import RetryPolicy, SettlingPolicy, Timeouts
from fusebill_async.settling.evidence import SendTime, attribute, untouched
from fusebill_async.settling.goals import Verdict, judge
from fusebill_async.settling.intent import Before, Intent, Reading, UnresolvedWrite
from fusebill_async.settling.outage import ProbeGate
from fusebill_async.settling.protocols import Store
from fusebill_async.settling.response import Response, response_of
from fusebill_async.settling.searching import search_request, searchable_reference, weigh
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.write import Write, listed
from fusebill_async.wire.request import build_request

logger = logging.getLogger("fusebill_async")

_CLOCK_MARGIN = 300.0
"""Seconds that the local clock may be off, as long as the service has not told its time."""

_MADE_KEPT = 512
"""Customers remembered as made by creates that are settled."""


@attrs.frozen(kw_only=True)
class Settled:
    """What reading has shown."""

    outcome: Outcome
    reading: Reading | None
    reason: str
    answer: Answer | None = None
    attribution: Attribution = Attribution.OURS


@attrs.frozen(kw_only=True)
class Resolution:
    """What became of an unresolved write.

    Attributes:
        write: the write.
        outcome: `APPLIED`, `NOT_APPLIED` or `UNKNOWN`.
        attribution: whose work it is, for `APPLIED`.
        customer: the customer as last read, None if no read succeeded.
        reason: in words.
    """

    write: UnresolvedWrite
    outcome: Outcome
    attribution: Attribution | None
    customer: Customer | None
    reason: str


class Settler:
    """Sends writes in tasks of their own, settles what stays unanswered, and knows what is open."""

    def __init__(
        self,
        session: SessionManager,
        store: Store,
        policy: SettlingPolicy,
        *,
        timeouts: Timeouts,
        hooks: Sequence[Hooks] = (),
    ) -> None:
        self.session = session
        self.store = store
        self.policy = policy
        self.seen = LastSeen()
        self._hooks = tuple(hooks)
        self._gate = ProbeGate(policy, session.effects.sleep)
        self._under_way: set[Write] = set()
        self._unknown: dict[str, Write] = {}
        self._made: dict[int, None] = {}
        self._name = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        reads_once = RetryPolicy(max_attempts=1, budget_ratio=1.0)
        self._read_options = CallOptions(
            timeouts=attrs.evolve(timeouts, queue=None),
            retry=reads_once,
            budget=RetryBudget(reads_once),
            priority=Priority.SETTLING,
        )

    # --- a write, as its caller sees it

    async def write(self, write: Write) -> Response[Any]:
        """Carry out a write.

        A cancelled caller gets its `CancelledError` at once; a write that is under way goes on without it.

        Raises:
            FusebillError: with the true outcome.
        """
        self.session.open()
        loop = asyncio.get_running_loop()
        write.noticed = loop.create_future()
        task = write.task = loop.create_task(self._carry_out(write))
        self._under_way.add(write)
        try:
            await write.noticed
            if write.settling:
                await self._wait_for_settling(task)
        except asyncio.CancelledError:
            if not write.call.at_risk or write.call.options.on_cancel == "abort":
                task.cancel()
            raise
        if write.error is not None:
            raise write.error
        if write.response is not None:
            return write.response
        # Only closing the client cancels the task of a write whose caller still waits.
        if write.state == "unknown":
            raise self._unknown_error(write, "the client was closed")
        if not write.settling:
            raise ClientStateError(f"{write.call.about} was not sent: the client was closed", **write.call.facts)
        assert write.intent is not None
        raise OutcomeUnknownError(
            f"{write.call.about} was sent, and reading the customer has not settled it within "
            f"{self.policy.wait:g} s; settling goes on in the background (client.unresolved(), client.resolve())",
            reading=write.last_reading,
            intent_id=write.intent.id,
            **write.call.facts,
        )

    async def _wait_for_settling(self, task: asyncio.Task[None]) -> None:
        clock = asyncio.ensure_future(self.session.effects.sleep(self.policy.wait))
        try:
            await asyncio.wait({task, clock}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            clock.cancel()

    def remember(self, answered: Customer | Activation) -> None:
        """Keep what the service has just sent as the state from before the next write."""
        self.seen.remember(answered, self.session.effects.now())

    # --- the task of a write

    async def _carry_out(self, write: Write) -> None:
        """The whole of a write, in its task. Its end is left on the write, whoever is there to look at it."""
        call = write.call
        customer_id = call.customer_id
        locks = self.store.locks
        try:
            if customer_id is not None and not locks.acquire_now(customer_id):
                await self._wait_for_lock(call, customer_id)
            try:
                if write.before is None and customer_id is not None:
                    write.before = self.seen.before(customer_id)
                if write.prepare is None:
                    await self._open_intent(write)
                else:
                    call.prepare = self._preparation(write)
                write.response = await self._until_settled(write)
            finally:
                try:
                    await self._leave(write)
                finally:
                    if customer_id is not None:
                        await locks.release(customer_id)
        except Exception as error:  # noqa: BLE001 (raised by whoever waits for the write)
            write.error = error
            if write.noticed is not None and write.noticed.cancelled():
                logger.warning("%s, whose caller was cancelled, ended with: %s", call.about, error)
        finally:
            self._under_way.discard(write)
            write.notice()

    async def _wait_for_lock(self, call: Call, customer_id: int) -> None:
        queue = call.options.timeouts.queue
        started = self.session.effects.now()
        in_time = True
        try:
            await self.store.locks.acquire(customer_id, queue)
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
            assert write.prepare is not None
            await write.prepare(write, permit)
            await self._open_intent(write)

        return prepare

    async def _open_intent(self, write: Write) -> None:
        if write.intent is not None:
            return
        write.intent = Intent(
            id=f"{self._name}-{next(self._numbers)}",
            operation=write.call.operation.title,
            customer_id=write.call.customer_id,
            named=write.named,
            opened_at=self._service_time(),
            known=write.before,
        )
        await self.store.ledger.open(write.intent)

    def _service_time(self) -> float:
        bounds = self.session.clock.service_time(self.session.effects.now())
        return bounds[0] if bounds is not None else time.time() - _CLOCK_MARGIN

    async def _leave(self, write: Write) -> None:
        """Close the intent if the outcome is known; else it stays open, for `resolve` or for another process."""
        intent = write.intent
        if intent is None:
            return
        if write.call.at_risk:
            write.state = "unknown"
            self._unknown[intent.id] = write
        else:
            await self.store.ledger.close(intent)

    async def _until_settled(self, write: Write) -> Response[Any]:
        call = write.call
        while True:
            reason = ""
            refusal: APIError | None = None
            try:
                answer = await self.session.send(call)
            except UnsettledError as unsettled:
                reason = unsettled.reason
            except APIError as error:
                if not write.doubtful or error.outcome is not Outcome.REJECTED:
                    raise
                refusal = error
            else:
                if isinstance(answer.value, (Customer, Activation)):
                    self.remember(answer.value)
                if call.operation.safety is Safety.CREATE:
                    self._note_made(answer.value)
                return response_of(call, answer)
            if refusal is not None:
                return await self._after_refusal(write, refusal)
            write.doubtful = True
            settled = await self._settle(write, reason)
            if settled.outcome is Outcome.APPLIED:
                return self._confirmed(write, settled)
            if settled.outcome is Outcome.UNKNOWN:
                raise self._unknown_error(write, settled.reason)
            call.at_risk = False
            if not self._may_send_again(write):
                raise self._not_applied_error(write, settled)
            write.state = "in flight"

    def _may_send_again(self, write: Write) -> bool:
        call = write.call
        call.tries += 1
        return (
            write.resend
            and call.tries < call.options.retry.max_attempts
            and call.spent < call.options.timeouts.total
            and call.options.budget.take(self.session.effects.now())
        )

    async def _after_refusal(self, write: Write, refusal: APIError) -> Response[Any]:
        """A refusal after an unknown attempt may mean that the lost attempt did it: "already so" is evidence."""
        answer = await self._read_once(write) if _can_be_read(write) else None
        settled = None if answer is None else self._decide(write, answer, "")
        if settled is not None and settled.outcome is Outcome.APPLIED:
            return self._confirmed(write, settled)
        raise refusal

    # --- settling

    async def _settle(self, write: Write, reason: str) -> Settled:
        call = write.call
        if not self.policy.enabled:
            return Settled(outcome=Outcome.UNKNOWN, reading=None, reason=reason)
        write.state = "settling"
        self._gate.suspect()
        for hooks in self._hooks:
            hooks.settling_started(call.operation.title, call.customer_id)
        write.notice()
        settled = await self._read_until_decided(write, reason)
        for hooks in self._hooks:
            hooks.settling_ended(call.operation.title, call.customer_id, settled.outcome)
        return settled

    async def _read_until_decided(self, write: Write, reason: str) -> Settled:
        """Read until the goal is met, is missed for good, or cannot be told."""
        policy, effects, call = self.policy, self.session.effects, write.call
        if not _can_be_read(write):
            return Settled(outcome=Outcome.UNKNOWN, reading=None, reason=f"{reason}; no read can tell")
        give_up = effects.now() + policy.give_up
        quiet = policy.quiet_seconds(moves_money=call.operation.moves_money)
        misses: list[float] = []
        await effects.sleep(policy.first_read)
        while True:
            answer = await self._read(write, give_up)
            now = effects.now()
            if answer is None:
                return Settled(
                    outcome=Outcome.UNKNOWN, reading=write.last_reading, reason=f"{reason}; every read failed"
                )
            settled = self._decide(write, answer, reason)
            if settled is not None:
                return settled
            misses.append(now)
            if len(misses) >= policy.misses and now - misses[0] >= quiet:
                return Settled(outcome=Outcome.NOT_APPLIED, reading=write.last_reading, reason=reason)
            share = quiet * policy.quiet_growth ** (len(misses) - 1) / (policy.misses - 1)
            await effects.sleep(max(0.0, misses[-1] + share - effects.now()))

    def _decide(self, write: Write, answer: Answer, reason: str) -> Settled | None:
        """What one read shows; None if it misses the goal and the customer stands as it did before."""
        operation, named, before = write.call.operation, write.named, write.before
        sent = self._send_time(write)
        if isinstance(operation.goal, FoundByReference):
            return self._decide_search(write, answer, reason, sent)
        reading = write.last_reading = _reading(answer)
        verdict = judge(operation.goal, reading.fields, named) if reading.status is not None else Verdict.MISSED
        if verdict is Verdict.MET:
            attribution = attribute(operation, named, before, reading, sent)
            return Settled(
                outcome=Outcome.APPLIED, reading=reading, reason=reason, answer=answer, attribution=attribution
            )
        if verdict is Verdict.UNDECIDED or not untouched(operation, named, before, reading, sent):
            told = "no read can tell" if verdict is Verdict.UNDECIDED else "the customer was changed since"
            return Settled(outcome=Outcome.UNKNOWN, reading=reading, reason=f"{reason}; {told}")
        return None

    def _decide_search(self, write: Write, answer: Answer, reason: str, sent: SendTime | None) -> Settled | None:
        """What a search for a created customer shows; None if there is none."""
        if write.created_after is None and sent is not None:
            # A later attempt must not hide what an earlier one made, so the first one's time stands.
            write.created_after = sent.earliest
        found = weigh(answer.value, write.named, write.created_after, self._made)
        reading = write.last_reading = None if found.customer is None else Reading.of(found.customer)
        if found.doubt:
            return Settled(outcome=Outcome.UNKNOWN, reading=reading, reason=f"{reason}; {found.doubt}")
        if reading is None:
            return None
        self._note_made(reading.customer)
        # It was made after the send, with every field as it was sent.
        return Settled(
            outcome=Outcome.APPLIED,
            reading=reading,
            reason=reason,
            answer=attrs.evolve(answer, value=found.customer),
            attribution=Attribution.OURS,
        )

    def _note_made(self, customer: Any) -> None:
        """Remember whose create made a customer, so that it is not taken for the work of another one."""
        self._made[customer.id] = None
        if len(self._made) > _MADE_KEPT:
            del self._made[next(iter(self._made))]

    async def _read(self, write: Write, give_up: float) -> Answer | None:
        """Read until a read succeeds; None when it is time to give up."""

        async def attempt() -> Answer | None:
            return await self._read_once(write)

        while self.session.effects.now() < give_up:
            answer = await self._gate.read(attempt)
            if answer is not None:
                return answer
        return None

    async def _read_once(self, write: Write) -> Answer | None:
        """Read the customer, or search for it; a `NotFoundError` is an answer too, with the value None."""
        read = self._read_call(write)
        try:
            answer = await self.session.send(read)
            if read.operation is LIST:
                answer.value = [decode_customer(text) for text in answer.value]
        except NotFoundError as error:
            now = self.session.effects.now()
            told = bool(error.errors) and read.operation is GET
            return Answer(None, error.status, {}, read.sent_at, now, 1) if told else None
        except ClientStateError:
            raise
        except (FusebillError, UnreadableAnswer) as error:
            logger.info("a settling read of %s failed: %s", write.call.about, error)
            return None
        return answer

    def _read_call(self, write: Write) -> Call:
        if write.call.customer_id is not None:
            request = build_request(GET, write.call.customer_id)
            return Call(GET, write.call.customer_id, request, self._read_options)
        reference = searchable_reference(write.named)
        assert reference is not None
        return Call(LIST, None, search_request(reference), self._read_options)

    def _send_time(self, write: Write) -> SendTime | None:
        """When the latest attempt was sent, by the service's clock."""
        if write.call.sent_at == 0.0:
            return SendTime(earliest=write.intent.opened_at, latest=float("inf")) if write.intent else None
        bounds = self.session.clock.service_time(write.call.sent_at)
        return None if bounds is None else SendTime(earliest=bounds[0], latest=bounds[1])

    # --- the ends

    def _confirmed(self, write: Write, settled: Settled) -> Response[Any]:
        assert settled.answer is not None
        write.call.at_risk = False
        customer = settled.answer.value
        self.remember(customer)
        value = Activation(customer=customer) if write.call.operation.answer == "activation" else customer
        response = response_of(
            write.call, settled.answer, confirmed_by=ConfirmedBy.READ, attribution=settled.attribution
        )
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
        states = {write.intent.id: write.state for write in self._under_way if write.intent is not None}
        return [listed(intent, states.get(intent.id, "unknown")) for intent in self.store.ledger.unresolved()]

    async def resolve(self, intent_id: str) -> Resolution:
        """Settle one unresolved write by reading; never sends it again.

        Args:
            intent_id: its name.

        Raises:
            KeyError: there is no such unresolved write.
        """
        under_way = next((w for w in self._under_way if w.intent is not None and w.intent.id == intent_id), None)
        if under_way is not None:
            assert under_way.task is not None
            await asyncio.wait({under_way.task})
        intent = next((i for i in self.store.ledger.unresolved() if i.id == intent_id), None)
        if intent is None:
            if under_way is not None and under_way.intent is not None:
                return _ended_well(under_way)
            raise KeyError(intent_id)
        return await self._resolve(self._unknown.get(intent_id) or self._revived(intent), intent)

    def _revived(self, intent: Intent) -> Write:
        """The write that another process left open."""
        operation: Operation = BY_TITLE[intent.operation]
        before = None
        if intent.before is not None:
            before = Before(summary=intent.before)
        call = Call(operation, intent.customer_id, None, self._read_options)
        call.at_risk = True
        return Write(call, intent.named, resend=False, before=before, intent=intent)

    async def _resolve(self, write: Write, intent: Intent) -> Resolution:
        customer_id = intent.customer_id
        if customer_id is not None:
            await self.store.locks.acquire(customer_id, None)
        try:
            settled = await self._settle(write, "no usable answer came")
            if settled.outcome is not Outcome.UNKNOWN:
                write.call.at_risk = False
                self._unknown.pop(intent.id, None)
                await self.store.ledger.close(intent)
        finally:
            if customer_id is not None:
                await self.store.locks.release(customer_id)
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
        tasks = {write.task for write in self._under_way if write.task is not None}
        if tasks:
            clock = asyncio.ensure_future(self.session.effects.sleep(self.policy.close_wait))
            try:
                waiting = set(tasks)
                while waiting and not clock.done():
                    done, _ = await asyncio.wait({*waiting, clock}, return_when=asyncio.FIRST_COMPLETED)
                    waiting -= done
            finally:
                clock.cancel()
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        left = self.unresolved()
        if left:
            names = ", ".join(str(write) for write in left)
            warnings.warn(f"closed with unresolved writes: {names}", UnresolvedWritesWarning, stacklevel=3)
            logger.warning("closed with unresolved writes: %s", names)


def _can_be_read(write: Write) -> bool:
    """Whether there is a customer to read, or something to search for."""
    if write.call.customer_id is not None:
        return True
    searched = isinstance(write.call.operation.goal, FoundByReference)
    return searched and searchable_reference(write.named) is not None


def _reading(answer: Answer) -> Reading:
    return Reading(status=None, modified=None) if answer.value is None else Reading.of(answer.value)


def _ended_well(write: Write) -> Resolution:
    """The resolution of a write that came to its end by itself while it was waited for."""
    assert write.intent is not None
    shown = listed(write.intent, "settled")
    if write.error is not None:
        outcome = write.error.outcome if isinstance(write.error, FusebillError) else Outcome.UNKNOWN
        return Resolution(write=shown, outcome=outcome, attribution=None, customer=None, reason=str(write.error))
    assert write.response is not None
    value = write.response.value
    return Resolution(
        write=shown,
        outcome=Outcome.APPLIED,
        attribution=write.response.attribution,
        customer=value.customer if isinstance(value, Activation) else value,
        reason="",
    )


MAY_BE_SENT_AGAIN = frozenset({Safety.REPEATABLE, Safety.REPLACE})
"""What is sent again by default after it was settled as not applied."""
