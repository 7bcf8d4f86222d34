"""Reads a customer, or searches for one, until it is clear what became of a write."""

from __future__ import annotations

import attrs

from fusebill_async.converting import UnreadableAnswer, decode_customer
from fusebill_async.errors import ClientStateError, FusebillError, NotFoundError
from fusebill_async.operations import GET, LIST, FoundByReference, Operation
from fusebill_async.outcome import Attribution, Outcome
from fusebill_async.policy.retry import RetryBudget
from fusebill_async.session.call import Answer, Call, CallOptions
from fusebill_async.session.manager import SessionManager
from fusebill_async.settings import Priority, RetryPolicy, SettlingPolicy, Timeouts
from fusebill_async.settling.evidence import SendTime, Verdict, attribute, is_evidence, judge, stands, untouched
from fusebill_async.settling.outage import ProbeGate
from fusebill_async.settling.searching import search_request, searchable_reference, weigh
from fusebill_async.settling.seen import LastSeen, Reading
from fusebill_async.settling.write import ReadAgainError, Write
from fusebill_async.wire.request import Request, build_request


@attrs.frozen(kw_only=True)
class Settled:
    """The result of settling.

    Attributes:
        outcome: `APPLIED`, `NOT_APPLIED` or `UNKNOWN`.
        reading: the last read; None if none succeeded.
        reason: why the write had to be settled, for messages.
        answer: the read that shows the effect, for `APPLIED`.
        attribution: for `APPLIED`, whether the write caused the effect.
    """

    outcome: Outcome
    reading: Reading | None
    reason: str
    answer: Answer | None = None
    attribution: Attribution = Attribution.OURS


@attrs.frozen
class _Found:
    """What one settling read brought. A search has its customers in the answer, and no reading."""

    answer: Answer
    reading: Reading = attrs.field(factory=lambda: Reading(customer=None))


class SettlingReader:
    """Settles writes: reads the customer, or searches for it, and compares with the goal of the operation."""

    def __init__(
        self,
        session: SessionManager,
        policy: SettlingPolicy,
        seen: LastSeen,
        *,
        timeouts: Timeouts,
    ) -> None:
        self._session = session
        self.policy = policy
        self._seen = seen
        self._gate = ProbeGate(policy, session.effects)
        self._closed = False
        reads_once = RetryPolicy(max_attempts=1, budget_ratio=1.0)
        self.read_options = CallOptions(
            timeouts=attrs.evolve(timeouts, queue=None),
            retry=reads_once,
            budget=RetryBudget(reads_once),
            priority=Priority.SETTLING,
        )

    def close(self) -> None:
        """Read no more: what is not settled stays unknown."""
        self._closed = True

    async def settle(self, write: Write, reason: str, *, once: bool = False) -> Settled:
        """Read until it is clear what became of a write.

        Args:
            write: was sent, and got no usable answer.
            reason: why, for messages.
            once: the first read that succeeds decides, since no effect can come late any more.
        """
        if not self.policy.enabled:
            return Settled(outcome=Outcome.UNKNOWN, reading=None, reason=reason)
        self._gate.suspect()
        with self._session.teller.settling(write.call) as settling:
            settled = await self._read_until_decided(write, reason, once=once)
            applied = settled.outcome is Outcome.APPLIED
            settling.end(outcome=settled.outcome, attribution=settled.attribution if applied else None)
        return settled

    async def _read_until_decided(self, write: Write, reason: str, *, once: bool) -> Settled:
        """Read until the goal is met, is missed for good, or cannot be told."""
        policy, effects, call = self.policy, self._session.effects, write.call
        question = self.question(write)
        if question is None:
            return Settled(outcome=Outcome.UNKNOWN, reading=None, reason=f"{reason}; no read can tell")
        give_up = effects.now() + policy.give_up
        quiet = policy.quiet_seconds(moves_money=call.operation.moves_money)
        misses: list[float] = []
        await effects.sleep(policy.first_read)
        while True:
            found, failure = await self._read_evidence(write, question, give_up)
            now = effects.now()
            if found is None:
                if misses:
                    reads = "one read" if len(misses) == 1 else f"{len(misses)} reads"
                    failure = f"{reads} showed no effect, and afterwards {failure}"
                reading = write.last_reading if misses else None
                return Settled(outcome=Outcome.UNKNOWN, reading=reading, reason=f"{reason}; {failure}")
            settled = self._decide(write, found, reason)
            if settled is not None:
                return settled
            misses.append(now)
            if once or (len(misses) >= policy.misses and now - misses[0] >= quiet):
                return Settled(outcome=Outcome.NOT_APPLIED, reading=write.last_reading, reason=reason)
            share = quiet * policy.quiet_growth ** (len(misses) - 1) / (policy.misses - 1)
            await effects.sleep(max(0.0, misses[-1] + share - effects.now()))

    def question(self, write: Write) -> tuple[Operation, Request] | None:
        """What is asked to settle a write: a read of its customer, or a search; None if no read can tell."""
        if write.call.customer_id is not None:
            return GET, build_request(GET, write.call.customer_id)
        if not isinstance(write.call.operation.goal, FoundByReference):
            return None
        reference = searchable_reference(write.named)
        return None if reference is None else (LIST, search_request(reference))

    def found_again(self, write: Write, answer: Answer) -> Settled | None:
        """What a read shows that was made before a write is sent again; None if all stands as before.

        Raises:
            ReadAgainError: it is older than what was seen.
        """
        call, reason = write.call, "it was refused for the quota"
        if call.customer_id is None:
            return self._decide(write, _Found(_decoded(answer)), reason)
        reading = Reading.of(answer.value, answer.sent_at)
        self._seen.remember(reading)
        if not is_evidence(reading, write.before, self._seen.newest(call.customer_id, self._session.effects.now())):
            write.lagging_reads += 1
            raise ReadAgainError("every read was older than what was seen of the customer")
        settled = self._decide(write, _Found(answer, reading), reason)
        if settled is None or settled.outcome is Outcome.APPLIED:
            return settled
        return None if stands(call.operation, write.named, write.before, reading) else settled

    def _decide(self, write: Write, found: _Found, reason: str) -> Settled | None:
        """What one read shows; None if it misses the goal and the customer stands as it did before."""
        operation, named, before = write.call.operation, write.named, write.before
        sent = self._send_time(write)
        if isinstance(operation.goal, FoundByReference):
            return self._decide_search(write, found.answer, reason, sent)
        reading = write.last_reading = found.reading
        verdict = Verdict.MISSED
        if reading.status is not None:
            verdict = judge(operation.goal, reading.fields, named, None if before is None else before.fields)
        if verdict is Verdict.MET:
            attribution = attribute(operation, named, before, reading, sent, waited=write.call.time_queued)
            return Settled(
                outcome=Outcome.APPLIED, reading=reading, reason=reason, answer=found.answer, attribution=attribution
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
        others = [one.id for one in answer.value if self._seen.was_made(one.id) or self._stood_before(one.id, write)]
        found = weigh(answer.value, write.named, write.created_after, others)
        reading = None if found.customer is None else Reading.of(found.customer, answer.sent_at)
        write.last_reading = reading
        if found.doubt:
            return Settled(outcome=Outcome.UNKNOWN, reading=reading, reason=f"{reason}; {found.doubt}")
        if reading is None:
            return None
        self._seen.remember(reading, made=True)
        # It was made after the send, with every field as it was sent.
        return Settled(
            outcome=Outcome.APPLIED,
            reading=reading,
            reason=reason,
            answer=attrs.evolve(answer, value=found.customer),
            attribution=Attribution.OURS,
        )

    def _stood_before(self, customer_id: int, write: Write) -> bool:
        """Whether a customer was seen before a create was sent."""
        seen, sent_at = self._seen.of(customer_id), write.first_sent_at
        return seen is not None and sent_at is not None and seen.sent_at < sent_at

    async def _read_evidence(
        self, write: Write, question: tuple[Operation, Request], give_up: float
    ) -> tuple[_Found | None, str]:
        """Read until a read succeeds that does not lag behind; None and why, when it is time to give up."""
        effects, lagging = self._session.effects, 0
        while True:
            found = await self._read(write, question, give_up)
            if found is None:
                last = f", the last one with: {write.read_failure}" if write.read_failure else ""
                return None, "every read showed less than was seen before" if lagging else f"every read failed{last}"
            reading, customer_id = found.reading, write.call.customer_id
            if reading.customer is None or customer_id is None:
                return found, ""
            if is_evidence(reading, write.before, self._seen.newest(customer_id, effects.now())):
                return found, ""
            lagging += 1
            await effects.sleep(max(0.0, min(self.policy.pause_after(lagging), give_up - effects.now())))

    async def _read(self, write: Write, question: tuple[Operation, Request], give_up: float) -> _Found | None:
        """Read until a read succeeds; None when it is time to give up."""

        async def attempt() -> _Found | None:
            return await self._read_once(write, *question)

        failures = 0
        while self._session.effects.now() < give_up and not self._closed:
            found = await self._gate.read(attempt, about=write.call.customer_id, failures=failures, give_up=give_up)
            if found is not None:
                return found
            failures += 1
        return None

    async def _read_once(self, write: Write, operation: Operation, request: Request) -> _Found | None:
        """Read the customer, or search for it. That there is no such customer is an answer, too."""
        try:
            call = Call(operation, write.call.customer_id, request, self.read_options, parent_id=write.call.id or None)
            answer = await self._session.read(call)
            if operation is LIST:
                return _Found(_decoded(answer))
            reading = Reading.of(answer.value, answer.sent_at)
            self._seen.remember(reading)
        except NotFoundError as error:
            told = bool(error.errors) and operation is GET
            return _no_such_customer(error) if told else None
        except ClientStateError:
            self.close()
            return None
        except (FusebillError, UnreadableAnswer) as error:
            write.read_failure = str(error)
            return None
        return _Found(answer, reading)

    def _send_time(self, write: Write) -> SendTime | None:
        """When the first attempt was sent, by the service's clock: an effect may be that of any attempt."""
        first = write.first_sent_at
        if first is None:
            return SendTime(earliest=write.intent.opened_at, latest=float("inf")) if write.intent else None
        bounds = self._session.clock.service_time(first)
        return None if bounds is None else SendTime(earliest=bounds[0], latest=bounds[1])


def _decoded(answer: Answer) -> Answer:
    """The answer to a search, with its customers decoded."""
    return attrs.evolve(answer, value=[decode_customer(text) for text in answer.value])


def _no_such_customer(error: NotFoundError) -> _Found:
    """What a 404 of the service shows."""
    return _Found(
        Answer(value=None, status=error.status, headers={}, sent_at=0.0, received_at=0.0, attempts=error.attempts)
    )
