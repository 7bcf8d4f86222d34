"""A campaign against the promise: every call ends in a true outcome, and nothing happens twice.

    python -m tests.campaign --sockets --calls 1000000 --seed 7 --concurrency 96

Calls go over real sockets to the simulator in a second process, and a third of them meets trouble. Afterwards,
when the last late effect has come, each call's outcome is compared with what the simulator's ledger says that
happened; the ledger alone is believed. The same seed draws the same calls and the same trouble. Ends with 1
if there was a violation.

Two of the mixes go beyond the bounds that the client states: `beyond`, with effects that come later than the quiet
period and with somebody else at work on the same customers, and `crowded`. What no client could know is counted
apart there; in the other mixes nothing is.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from fusebill_async import (
    Attribution,
    ConfirmedBy,
    FusebillClient,
    FusebillError,
    Outcome,
    PoolSettings,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UnresolvedWrite,
    UnresolvedWritesWarning,
)
from fusebill_async.operations import CREATE, REPLACE, UPDATE
from fusebill_async.settling.response import Resolution
from fusebill_async.stores import MemoryStore
from tests.campaign.sockets_schedule import MIXES, QUIET_PERIOD, Planned, arguments_of, plan_call
from tests.campaign.sockets_service import CampaignService, RemoteService, Seen

KEY = "Y2FtcGFpZ24tYXBpLWtleQ"


@attrs.frozen
class Ended:
    """How a call ended, as its caller saw it. `outcome` is None if the caller was cancelled."""

    outcome: Outcome | None
    confirmed_by: ConfirmedBy | None = None
    attribution: Attribution | None = None
    error: str = ""
    begun: bool = True
    told: str = ""

    def __str__(self) -> str:
        if not self.begun:
            return "not begun: the read before it failed"
        if self.outcome is None:
            return "caller cancelled"
        if self.outcome is Outcome.APPLIED and self.confirmed_by is not None:
            whose = f", {self.attribution}" if self.confirmed_by is ConfirmedBy.READ else ""
            return f"applied ({self.confirmed_by}{whose})"
        return f"{self.outcome} ({self.error})"


@attrs.frozen
class Finding:
    """What the ledger says against a call; `apart` if it is a bound that the client states.

    In a mix that stays within the bounds only a busy machine, on which a late effect came too late, is an excuse.
    """

    kind: str
    apart: bool = False


def judge(planned: Planned, ended: Ended, seen: Seen) -> Iterator[Finding]:
    """Compare the outcome of a call with what happened at the service."""
    ours = [at for at, mine in seen.effects if mine]
    theirs = [at for at, mine in seen.effects if not mine]
    late = seen.latest > QUIET_PERIOD
    if len(ours) > 1:
        yield Finding("the effect happened twice", apart=late)
    if not planned.operation.writes:
        if ours:
            yield Finding("a read had an effect")
        return
    match ended.outcome:
        case Outcome.APPLIED:
            yield from _judge_applied(planned, ended, ours, theirs, seen)
        case Outcome.UNKNOWN:
            yield from _judge_unknown(planned, seen)
        case Outcome.NOT_SENT if seen.arrivals:
            yield Finding("not sent, but the service saw it")
        case Outcome.REJECTED | Outcome.NOT_SENT | Outcome.NOT_APPLIED if ours:
            yield Finding(f"{ended.outcome}, but it happened", apart=late)
        case _:
            pass


def _judge_applied(
    planned: Planned, ended: Ended, ours: list[float], theirs: list[float], seen: Seen
) -> Iterator[Finding]:
    if ended.confirmed_by is not ConfirmedBy.READ:
        if not ours:
            # A service that answers 200 and shows the goal, which stood before, tells a lie that nothing shows.
            yield Finding(
                "applied by a response, but it did not happen",
                apart=planned.wrong_state or bool(theirs or seen.foreign),
            )
        return
    match ended.attribution:
        case Attribution.OURS if not ours:
            if seen.arrivals and any(at < seen.arrivals[0] for at in theirs):
                # What moves no money is ours unless it is proven older than the send, as far as the clocks agree.
                kind = f"ours, but somebody else had done it before it was sent ({planned.operation.safety})"
                yield Finding(kind, apart=not planned.operation.moves_money)
            elif theirs:
                # Between the send and the read nothing that the service shows tells one from the other.
                kind = "ours, but somebody else did it between the send and the read"
                yield Finding(f"{kind} ({planned.operation.safety})", apart=True)
            else:
                # It was so before, nobody had read it, and somebody modified the customer in another way meanwhile.
                untellable = planned.wrong_state and seen.foreign > 0 and not planned.operation.moves_money
                yield Finding("ours, but nobody did it", apart=untellable)
        case Attribution.ALREADY if ours and not any(at < ours[0] for at in theirs):
            yield Finding("already, but it was ours", apart=seen.latest > QUIET_PERIOD)
        case Attribution.UNPROVEN | Attribution.ALREADY if not (ours or theirs or planned.wrong_state):
            yield Finding(f"{ended.attribution}, but nobody did it", apart=bool(seen.foreign))
        case _:
            pass


def _judge_unknown(planned: Planned, seen: Seen) -> Iterator[Finding]:
    if planned.blind:
        if seen.reads_failed < seen.reads:
            yield Finding("unknown, though a read was answered")
        return
    if planned.other is not None:
        yield Finding("unknown, since somebody else changed the customer", apart=True)
    elif planned.wrong_state:
        yield Finding("unknown, since nobody had read the customer and its state does not allow it", apart=True)
    else:
        yield Finding("unknown, though reads succeeded", apart=seen.latest > QUIET_PERIOD)


def judge_resolution(planned: Planned, resolution: Resolution, seen: Seen) -> Iterator[Finding]:
    """Compare what a write that was left unknown was resolved to with what happened."""
    ours = [at for at, mine in seen.effects if mine]
    late = seen.latest > QUIET_PERIOD
    match resolution.outcome:
        case Outcome.APPLIED:
            confirmed = Ended(Outcome.APPLIED, ConfirmedBy.READ, resolution.attribution)
            yield from _judge_applied(planned, confirmed, ours, [at for at, mine in seen.effects if not mine], seen)
        case Outcome.NOT_APPLIED if ours:
            yield Finding("resolved as not applied, but it happened", apart=late)
        case Outcome.UNKNOWN if planned.other is None and not planned.wrong_state:
            yield Finding("not resolved, though reads succeed", apart=late)
        case _:
            pass


@attrs.define
class Report:
    """What came of it. `strict` if nothing was to happen that the stated bounds exclude, so that nothing excuses."""

    seed: int
    strict: bool = True
    calls: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = attrs.field(factory=Counter)
    operations: Counter[str] = attrs.field(factory=Counter)
    faults: Counter[str] = attrs.field(factory=Counter)
    violations: Counter[str] = attrs.field(factory=Counter)
    apart: Counter[str] = attrs.field(factory=Counter)
    resolved: Counter[str] = attrs.field(factory=Counter)
    effects: int = 0
    examples: list[str] = attrs.field(factory=list)

    def note(self, finding: Finding, planned: Planned, ended: object, seen: Seen) -> None:
        """Count a finding, and keep the first few violations in full."""
        apart = finding.apart and (not self.strict or seen.latest > QUIET_PERIOD)
        (self.apart if apart else self.violations)[finding.kind] += 1
        if not apart and len(self.examples) < 50:
            self.examples.append(f"{finding.kind}: {ended} {getattr(ended, 'told', '')}; {planned}; {seen}")

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.calls:,} calls in {self.seconds:,.1f} s",
            f"{self.calls / self.seconds:,.0f} calls/s",
            f"effects at the service: {self.effects:,}; faults that struck: {self.faults.total():,}",
        ]
        for title, counts in (
            ("calls by operation", self.operations),
            ("faults by kind", self.faults),
            ("outcomes", self.outcomes),
            ("unknown ones resolved afterwards", self.resolved),
            ("counted apart: bounds that the client states", self.apart),
            ("VIOLATIONS", self.violations),
        ):
            lines += ["", f"{title}: {counts.total():,}"]
            lines += [f"  {count:>10,}  {kind}" for kind, count in counts.most_common()]
        return "\n".join([*lines, *(["", "examples:", *self.examples] if self.examples else [])])


def make_client(base_url: str, concurrency: int) -> FusebillClient:
    """A client in a hurry: the same machinery, with short waits.

    Every write has a connection of its own. On a kept one an answer that nobody asked for can pass for the refusal of a
    write that moves no money, and no client could tell: the guide says so.
    """
    return FusebillClient(
        KEY,
        base_url=base_url,
        timeouts=Timeouts(connect=0.5, read=0.2, total=10.0, queue=None),
        pool=PoolSettings(connections=2 * concurrency, fresh_connections="writes"),
        retry=RetryPolicy(max_attempts=4, backoff=0.005, budget_ratio=1.0),
        settling=SettlingPolicy(
            quiet_period=QUIET_PERIOD,
            first_read=0.005,
            retry_delay=0.02,
            retry_limit=0.05,
            wait=30.0,
            give_up=6.0,
            close_wait=30.0,
        ),
        quota=QuotaPolicy.off(),
        store=MemoryStore(),
    )


class Campaign:
    """Calls in batches: make the customers, call, wait for the last late effect, judge."""

    def __init__(
        self,
        *,
        calls: int,
        seed: int,
        concurrency: int,
        mix: str = "usual",
        batch: int = 10_000,
        first: int = 0,
        remote: bool = True,
    ) -> None:
        self._first = first
        self._calls = calls
        self._seed = seed
        self._mix = MIXES[mix]
        self._concurrency = concurrency
        self._batch = batch
        self._service = RemoteService(seed, mix) if remote else CampaignService(seed, self._mix)
        self.report = Report(seed, strict=self._mix.within_bounds)
        self._told = 0

    async def run(self, *, progress: bool = False) -> Report:
        """Run it."""
        started = time.perf_counter()
        # What stays unknown is counted, so there is no need to be warned of it.
        warnings.simplefilter("ignore", UnresolvedWritesWarning)
        try:
            async with make_client(await self._service.start(), self._concurrency) as client:
                for done in range(0, self._calls, self._batch):
                    count = min(self._batch, self._calls - done)
                    await self._run_batch(client, self._first + done, count)
                    if progress:
                        self._tell(done + count, time.perf_counter() - started)
            self.report.faults = await self._service.faults()
        finally:
            await self._service.aclose()
        self.report.calls = self._calls
        self.report.seconds = time.perf_counter() - started
        return self.report

    def _tell(self, done: int, seconds: float) -> None:
        report = self.report
        told = [f"{done:,} calls, {done / seconds:,.0f}/s, violations: {report.violations.total():,}"]
        told += report.examples[self._told :]
        self._told = len(report.examples)
        print("\n  ".join(told), file=sys.stderr, flush=True)

    async def _run_batch(self, client: FusebillClient, first: int, count: int) -> None:
        await self._service.begin(first, count)
        numbers = iter(range(first, first + count))
        calls: list[tuple[Planned, Ended]] = []

        async def work() -> None:
            for number in numbers:
                planned = plan_call(self._seed, number, self._mix)
                calls.append((planned, await self._call(client, planned)))

        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(work())
        await self._until_settled(client)
        await self._service.peace()
        left = client.unresolved()
        resolved = await asyncio.gather(*(client.resolve(write) for write in left))
        resolutions = {_subject_of(write): resolution for write, resolution in zip(left, resolved, strict=True)}
        seen = await self._service.end()
        for planned, ended in calls:
            self._judge(planned, ended, seen[planned.customer_id], resolutions.get(planned.customer_id))

    def _judge(self, planned: Planned, ended: Ended, seen: Seen, resolution: Resolution | None) -> None:
        report = self.report
        report.outcomes[str(ended)] += 1
        report.operations[planned.operation.title] += 1
        report.effects += len(seen.effects)
        for finding in judge(planned, ended, seen):
            report.note(finding, planned, ended, seen)
        if resolution is not None:
            report.resolved[resolution.outcome] += 1
            for finding in judge_resolution(planned, resolution, seen):
                report.note(finding, planned, resolution, seen)
        elif ended.outcome is Outcome.UNKNOWN and planned.operation.writes:
            report.note(Finding("unknown, but not listed as unresolved"), planned, ended, seen)

    async def _until_settled(self, client: FusebillClient) -> None:
        """Writes whose callers were cancelled go on by themselves."""
        while any(write.state != "unknown" for write in client.unresolved()):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)

    async def _call(self, client: FusebillClient, planned: Planned) -> Ended:
        subject: Any = planned.customer_id
        if planned.read_first and planned.operation.writes:
            try:
                subject = await client.customers.get(subject)
            except FusebillError as error:
                return Ended(Outcome.NOT_SENT, error=type(error).__name__, begun=False)
            if planned.other is not None and planned.other.moment == "earlier":
                await asyncio.sleep(0.06)
        if planned.cancelled_after is None:
            return await self._outcome(client, planned, subject)
        task = asyncio.ensure_future(self._outcome(client, planned, subject))
        await asyncio.wait({task}, timeout=planned.cancelled_after)
        if task.cancel():
            try:
                await task
            except asyncio.CancelledError:
                return Ended(None)
        return task.result()

    async def _outcome(self, client: FusebillClient, planned: Planned, subject: Any) -> Ended:
        try:
            response = await self._verb(client, planned, subject)
        except FusebillError as error:
            return Ended(error.outcome, error=type(error).__name__, told=str(error))
        return Ended(Outcome.APPLIED, response.confirmed_by, response.attribution)

    def _verb(self, client: FusebillClient, planned: Planned, subject: Any) -> Any:
        operation, customers = planned.operation, client.with_response.customers
        if operation is UPDATE:
            return customers.update(subject, company_name=f"Company of call {planned.number}")
        if operation is REPLACE:
            subject.company_name = f"Company of call {planned.number}"
            return customers.replace(subject)
        options: dict[str, Any] = dict(arguments_of(operation.title))
        if operation.moves_money:
            options["resend"] = planned.resend
        if operation is CREATE:
            return customers.create(reference=planned.reference, company_name="Created Ltd", **options)
        return getattr(getattr(client.with_response, operation.resource), operation.name)(subject, **options)


def _subject_of(write: UnresolvedWrite) -> int | None:
    """The customer of the schedule; a create is known by its reference."""
    return write.customer_id if write.reference is None else int(write.reference.removeprefix("call-")) + 1


def main() -> int:
    """Run a campaign from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign --sockets", description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--mix", choices=sorted(MIXES), default="usual")
    parser.add_argument("--batch", type=int, default=10_000, help="calls between two looks at the ledger")
    parser.add_argument("--first", type=int, default=0, help="the number of the first call, to repeat a part")
    parser.add_argument("--in-process", action="store_true", help="the service in this process")
    given = parser.parse_args()
    logging.getLogger("fusebill_async").setLevel(logging.CRITICAL)
    warnings.simplefilter("error")
    campaign = Campaign(
        calls=given.calls,
        seed=given.seed,
        concurrency=given.concurrency,
        mix=given.mix,
        batch=given.batch,
        first=given.first,
        remote=not given.in_process,
    )
    report = asyncio.run(campaign.run(progress=True))
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
