"""The oracle: compares what callers were told with what truly happened. It believes the history alone.

What a finding says is a violation of the promise, unless it is `apart`: then the client states a bound that excludes
the case, and the finding names that bound.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Protocol

import attrs

from fusebill_async import Attribution, ConfirmedBy, Outcome
from fusebill_async.operations import CREATE, REPLACE, UPDATE, Operation
from tests.campaign.calls import CallRecord, Planned, Told
from tests.campaign.goals import stands
from tests.campaign.history import BEGINNING, SOMEBODY_ELSE, Arrival, Effect, History, Seen, Version
from tests.campaign.surroundings import Surroundings

TWICE, UNTRUE, LOST, OTHER = "effect twice", "untrue outcome", "lost change", "other"
UNRECORDED = "no durable intent"
OLD = "after its read"

_KEPT = 60.0
"""Seconds for which a client keeps in mind what it has seen of a customer."""

_YOUNG = 1.0
"""Seconds from the sending of a read to the PUT that rests on it, at most."""

_APART = 60.0
"""Seconds within which the client lets the service's clocks be apart."""

_TRAVEL = 0.1
"""Seconds for the ways of a request and of the answer before it, with some to spare."""

_BUDGETED, _LONGER = 55.0, 70.0
"""Seconds that are certainly within the minute of a retry budget, and certainly more than it: it counts in slices."""

_PAUSE = 0.9
"""Seconds after a 429 in which its client sends nothing: a second, less what answers travel."""


@attrs.frozen
class Finding:
    """What the history says against a call. `apart` names the stated bound that excuses it; "" is a violation."""

    call: int
    what: str
    kind: str = UNTRUE
    apart: str = ""

    def __str__(self) -> str:
        return f"call {self.call}: {self.what}" + (f" (apart: {self.apart})" if self.apart else "")


class Report(Protocol):
    """Where the judge writes."""

    findings: list[Finding]
    unknowns: Counter[str]
    outcomes: Counter[str]
    effects: int
    copies: int


class Judge:
    """Judges a world after its end."""

    def __init__(
        self, surroundings: Surroundings, history: History, records: Mapping[int, CallRecord], report: Report
    ) -> None:
        self._world = surroundings
        self._history = history
        self._records = records
        self._report = report
        self._shown = self._what_was_shown()

    def judge(self) -> None:
        """Judge every call, every PUT, and how quotas were kept."""
        for number, record in self._records.items():
            seen = self._history.seen[number]
            self._report.effects += len(seen.effects)
            self._report.copies += sum(effect.copy for effect in seen.effects)
            self._report.findings += self._judge_call(record, seen)
        self._report.findings += self._judge_pauses()
        self._report.findings += self._judge_budgets()

    def _group(self, client: str) -> str:
        """Those who share a store know of each other's writes."""
        return "c" if client == "c" else "a"

    def _sharing(self, own: str) -> set[str]:
        """The clients on the same store."""
        clients = {self._account(record.planned.client) for record in self._records.values()}
        return {own, *(client for client in clients if self._group(client) == self._group(own))}

    def _what_was_shown(self) -> dict[tuple[str, int], list[tuple[float, int, bool]]]:
        """By client and customer: when which version a caller was shown. What a write showed, its store knows too."""
        told = [(*read, False) for read in self._history.told]
        told += [
            (each.told.at, each.planned.client, each.told.customer_id, each.told.stamp, each.planned.operation.writes)
            for each in self._records.values()
            if each.told is not None
        ]
        shown: dict[tuple[str, int], list[tuple[float, int, bool]]] = defaultdict(list)
        for at, client, customer_id, stamp, wrote in told:
            place = None if customer_id is None else self._history.place_of(customer_id, stamp)
            if customer_id is None or place is None:
                continue
            own = self._account(client)
            for knows in self._sharing(own) if wrote else {own}:
                shown[knows, customer_id].append((at, place, knows == own))
        return shown

    def _was_known(
        self, planned: Planned, customer_id: int, at: float, *, itself: bool = False, lately: float = _KEPT
    ) -> int | None:
        """The newest version that a caller was shown lately (seconds), on this store or by the client `itself`."""
        shown = self._shown[self._account(planned.client), customer_id]
        places = [place for when, place, own in shown if at - lately < when < at and (own or not itself)]
        return max(places, default=None)

    # -- one call ------------------------------------------------------------------------------------------

    def _judge_call(self, record: CallRecord, seen: Seen) -> Iterator[Finding]:
        planned, told = record.planned, record.told
        number = planned.number
        if told is None:
            yield Finding(number, "its caller was never told anything", OTHER)
            return
        self._report.outcomes[str(told)] += 1
        if not planned.operation.writes:
            if seen.effects:
                yield Finding(number, "a read had an effect", TWICE)
            return
        ours = [effect for effect in seen.effects if not effect.copy]
        if len(ours) > 1:
            yield Finding(
                number, f"{len(ours)} effects of {planned.operation.title}", TWICE, self._too_late(record, seen)
            )
        yield from self._judge_puts(record, seen)
        yield from self._judge_told(record, told, seen)
        if told.outcome in {None, Outcome.UNKNOWN}:
            for later in (record.settled, record.resolved):
                if later is not None:
                    yield from self._judge_later(record, later, seen)

    def _judge_told(self, record: CallRecord, told: Told, seen: Seen) -> Iterator[Finding]:
        number = record.planned.number
        match told.outcome:
            case Outcome.APPLIED:
                yield from self._judge_applied(record, told, seen)
            case Outcome.REJECTED if seen.effects:
                yield Finding(number, "rejected, but it happened", UNTRUE, self._why_rejected(record, seen))
            case Outcome.NOT_SENT if seen.writes:
                yield Finding(number, "not sent, but the service saw it")
            case Outcome.NOT_APPLIED if seen.effects:
                yield Finding(number, "not applied, but it happened", UNTRUE, self._too_late(record, seen))
            case Outcome.UNKNOWN:
                yield from self._judge_unknown(record, told, seen)
            case _:
                pass

    def _judge_later(self, record: CallRecord, later: Told, seen: Seen) -> Iterator[Finding]:
        """What settling came to after the caller had left, or `resolve` in the end."""
        number, how = record.planned.number, "resolved" if later is record.resolved else "settled"
        if later.outcome is Outcome.NOT_APPLIED:
            if any(effect for arrival in seen.writes if arrival.at < later.at for effect in arrival.effects):
                bound = self._too_late(record, seen) or self._gateways(record.planned, seen)
                yield Finding(number, f"{how} as not applied, but it happened", UNTRUE, bound)
        elif later.outcome is Outcome.APPLIED and later.attribution is not None:
            confirmed = attrs.evolve(later, confirmed_by=ConfirmedBy.READ)
            yield from self._judge_applied(record, confirmed, seen)
        elif later.outcome is Outcome.UNKNOWN and later is record.resolved:
            yield from self._judge_unknown(record, later, seen)

    # -- bounds that the client states ---------------------------------------------------------------------

    def _quiet(self, operation: Operation) -> float:
        return self._world.settling.quiet_seconds(moves_money=operation.moves_money)

    def _too_late(self, record: CallRecord, seen: Seen) -> str:
        """The bound on effects, if one came too late for it."""
        quiet = self._quiet(record.planned.operation)
        late = any(effect.at - arrival.at > quiet for arrival in seen.writes for effect in arrival.effects)
        return "an effect later than the quiet period" if late else ""

    def _why_rejected(self, record: CallRecord, seen: Seen) -> str:
        planned = record.planned
        struck = [arrival for arrival in seen.writes if arrival.effects]
        if all(effect.copy for effect in seen.effects):
            return "a proxy's copy took effect after the first one was refused"
        if any("doubled_request" in arrival.fault for arrival in struck):
            if planned.operation in {UPDATE, REPLACE}:
                return "a proxy's copy of a PUT was refused for what others had done since the first one"
            return self._why_believed(record, struck[0])
        return self._gateways(planned, seen) or self._too_late(record, seen)

    def _gateways(self, planned: Planned, seen: Seen) -> str:
        """The bound on refusals with a lower-case message."""
        struck = [arrival for arrival in seen.writes if arrival.effects]
        gateways = all(arrival.fault.partition(",")[0] in {"status 400", "status 403"} for arrival in struck)
        if gateways and not planned.operation.moves_money and planned.operation is not CREATE:
            return "a gateway's refusal with a lower-case message, of what moves no money"
        return ""

    def _why_believed(self, record: CallRecord, struck: Arrival) -> str:
        """A refusal that says "already so" is doubted only by who had seen it otherwise before the call, or in it."""
        planned, customer_id = record.planned, struck.customer_id or 0
        since = struck.at if planned.read_first else record.begun
        known = self._was_known(planned, customer_id, since, itself=True)
        if known is not None and not self._stands(planned, self._history.versions[customer_id][known]):
            return ""
        return "a proxy's copy was refused, and the client had not seen the customer otherwise before the call"

    # -- applied -------------------------------------------------------------------------------------------

    def _judge_applied(self, record: CallRecord, told: Told, seen: Seen) -> Iterator[Finding]:
        planned = record.planned
        number, operation = planned.number, planned.operation
        if told.confirmed_by is None and not told.error and operation not in {UPDATE, REPLACE}:
            return
        if told.confirmed_by is not ConfirmedBy.READ and (seen.writes or told.confirmed_by is ConfirmedBy.RESPONSE):
            if not seen.effects:
                yield Finding(number, "applied by a response, but it did not happen")
            return
        if operation is CREATE:
            if not seen.effects:
                yield Finding(number, f"created ({told.attribution}), but it did not happen")
            return
        versions = self._history.versions[planned.customer_id or 0]
        first = (
            self._history.place_at(planned.customer_id or 0, seen.writes[0].at if seen.writes else record.begun) or 0
        )
        last = self._history.place_at(planned.customer_id or 0, told.at) or 0
        before, since = versions[first], versions[first + 1 : last + 1]
        stood = self._stands(planned, before)
        came = [version for version in since if self._stands(planned, version)]
        if not seen.effects and not stood and not came:
            yield Finding(
                number, f"applied ({told.attribution}), but nobody did it", UNTRUE, self._lagged(record, seen, first)
            )
            return
        match told.attribution:
            case Attribution.OURS if not seen.effects:
                if stood:
                    # What a client knows of a customer is taken when its call has the lock.
                    sent = seen.writes[0].at if seen.writes and planned.read_first else record.begun
                    arrived = seen.writes[0].at if seen.writes else sent
                    yield Finding(number, "ours, but it stood before", UNTRUE, self._same_work(planned, sent, arrived))
                else:
                    lagged = self._lagged(record, seen, first)
                    yield Finding(number, "ours, but somebody else did it", UNTRUE, lagged or self._same_work(planned))
            case Attribution.ALREADY if seen.writes and not stood:
                lagged = self._lagged(record, seen, first)
                # An earlier attempt of its own may have acted after it was settled as not applied.
                bound = lagged or self._too_late(record, seen)
                yield Finding(number, "already, but it did not stand before", UNTRUE, bound)
            case _:
                pass

    def _stands(self, planned: Planned, version: Version) -> bool:
        return stands(planned.operation, planned.named, version.document)

    def _same_work(self, planned: Planned, sent: float | None = None, arrived: float = 0.0) -> str:
        """The bound on attributions: nobody can tell who did it after the client had last seen it undone.

        Where the client had never seen it, times tell, as far as the clocks agree; `Date` shows whole seconds.

        Args:
            planned: the call.
            sent: when the client took what it knew of the customer; None if it did not stand before.
            arrived: when the write came.
        """
        customer_id = planned.customer_id or 0
        versions = self._history.versions[customer_id]
        if planned.operation.moves_money:
            return ""
        if sent is None:
            return "somebody else did the same between what was seen and the read, of what moves no money"
        known = self._was_known(planned, customer_id, sent, itself=True, lately=math.inf)
        looked = [place for place in self._looked_at(planned, customer_id, sent) if known is None or place >= known]
        if any(not self._stands(planned, versions[place]) for place in looked):
            return "somebody else did the same between what was seen and the read, of what moves no money"
        modified = versions[self._history.place_at(customer_id, arrived) or 0].at
        if known is None and arrived - modified < _APART:
            return "it stood before, nobody had looked, and times prove nothing within a minute; of what moves no money"
        return ""

    def _looked_at(self, planned: Planned, customer_id: int, sent: float) -> list[int]:
        """The versions that the client was shown before it sent, to callers or in its own reads."""
        known = self._was_known(planned, customer_id, sent, itself=True, lately=math.inf)
        places = [] if known is None else [known]
        for number, other in self._records.items():
            if self._account(other.planned.client) == self._account(planned.client):
                reads = self._history.seen[number].reads
                places += [
                    read.shown
                    for read in reads
                    if read.customer_id == customer_id and read.shown is not None and read.at < sent
                ]
        return places

    def _lagged(self, record: CallRecord, seen: Seen, first: int) -> str:
        """The bound on reads, where one showed a state from before that nobody here could know to be old."""
        planned = record.planned
        known = self._was_known(planned, planned.customer_id or 0, seen.writes[0].at if seen.writes else record.begun)
        shown = [read.shown for read in seen.reads if read.shown is not None]
        old = [
            place
            for place in shown
            if place < first and self._stands(planned, self._history.versions[planned.customer_id or 0][place])
        ]
        if old and (known is None or known <= max(old)):
            return "a read lagged, and nobody here had seen a newer state"
        return ""

    # -- unknown -------------------------------------------------------------------------------------------

    def _judge_unknown(self, record: CallRecord, told: Told, seen: Seen) -> Iterator[Finding]:
        explained = self._explain(record, told, seen)
        self._report.unknowns[explained or "NOT EXPLAINED"] += 1
        if not explained:
            yield Finding(record.planned.number, f"unknown, though reads could tell: {told.message}", OTHER)

    def _explain(self, record: CallRecord, told: Told, seen: Seen) -> str:
        """What kept reads from telling, "" if nothing did."""
        planned = record.planned
        operation = planned.operation
        if operation.goal is None:
            return "no read can tell of this operation"
        if operation is CREATE and planned.named["reference"] is None:
            return "created without a reference to search by"
        # What was cut off on its way never arrived whole; its client cannot know that.
        doubted = [at for at in record.doubted if at <= told.at]
        if not doubted:
            return ""
        since = seen.writes[0].at if seen.writes else doubted[0]
        reads = [read for read in seen.reads if since < read.at < told.at]
        reads = [read for read in reads if read.answered is not None and read.answered < told.at]
        if told is record.told:
            # What another process reads for this write, to settle it, its caller's process is not told.
            reads = [read for read in reads if read.client == planned.client]
        good = [read for read in reads if read.status == 200 and (operation is CREATE or read.shown is not None)]
        good = [read for read in good if operation is not CREATE or not read.fault or "behind" in read.fault]
        if not good:
            return "every read failed"
        waited = told.at - max(good[0].at, doubted[-1])
        if operation is CREATE:
            return self._too_late(record, seen) or self._explain_create(
                waited, [read for read in good if read.at > doubted[-1]]
            )
        customer_id = planned.customer_id or 0
        versions = self._history.versions[customer_id]
        first = self._history.place_at(customer_id, since) or 0
        last = self._history.place_at(customer_id, told.at) or 0
        shows = [
            read
            for read in good
            if read.shown is not None and read.shown > first and self._stands(planned, versions[read.shown])
            if not self._was_cut(read)
        ]
        if shows and not self._changed_by_others(planned, versions[first + 1 : last + 1]):
            return ""
        if waited < self._quiet(operation):
            return "the caller waits for less than the quiet period"
        if self._changed_by_others(planned, versions[first + 1 : last + 1]):
            return "others changed the customer meanwhile"
        known = self._was_known(planned, customer_id, since)
        if not planned.read_first and known is None:
            return "nobody had seen the customer before"
        if any(version.at > record.begun - _KEPT for version in versions[(known or 0) + 1 : first + 1]):
            return "others changed the customer between what was seen of it and the send"
        if any(read.missing for read in reads):
            return "a read found no such customer"
        if any(read.shown is not None and known is not None and read.shown < known for read in good):
            return "reads lagged"
        times = [read.at for read in good if read.at > doubted[-1]]
        if not times or times[-1] - times[0] < self._quiet(operation) - _TRAVEL:
            return "the reads that were answered span less than the quiet period"
        return "the network cut the answer of a read" if any(map(self._was_cut, good)) else ""

    def _was_cut(self, read: Arrival) -> bool:
        """Whether the network met a fault while the answer to a read travelled: it may not have arrived."""
        return any(read.at <= cut <= (read.answered or read.at) + _TRAVEL for cut in self._history.cut)

    def _explain_create(self, waited: float, good: list[Arrival]) -> str:
        if waited < self._quiet(CREATE):
            return "the caller waits for less than the quiet period"
        if not good or good[-1].at - good[0].at < self._quiet(CREATE) - _TRAVEL:
            return "the reads that were answered span less than the quiet period"
        skew = self._world.skew
        if skew.date is None or abs(skew.database - skew.date) > 0:
            return "the clocks of the service disagree about when the customer was made"
        return ""

    def _changed_by_others(self, planned: Planned, versions: list[Version]) -> bool:
        return any(version.by != planned.number for version in versions)

    # -- PUTs ----------------------------------------------------------------------------------------------

    def _judge_puts(self, record: CallRecord, seen: Seen) -> Iterator[Finding]:
        if record.planned.operation not in {UPDATE, REPLACE}:
            return
        for arrival in seen.writes:
            read = max((read for read in seen.reads if read.at < arrival.at), key=lambda read: read.at, default=None)
            age = self._age_of_base(record, arrival)
            if age > _YOUNG + _TRAVEL and arrival.connection not in self._history.stalled:
                yield Finding(record.planned.number, f"a PUT {age:.2f} s {OLD}", OTHER)
            for effect in arrival.effects:
                yield from self._judge_put(record, arrival, effect, read)

    def _age_of_base(self, record: CallRecord, put: Arrival) -> float:
        """Seconds since this client last asked for what the PUT rests on: by a read, or by a write that showed it."""
        customer_id = put.customer_id or 0
        base = self._history.place_of(customer_id, Version(put.at, put.body, 0).stamp)
        asked = [record.begun]
        for number, other in self._records.items():
            if self._account(other.planned.client) != self._account(record.planned.client):
                continue
            seen = self._history.seen[number]
            asked += [read.at for read in seen.reads if read.customer_id == customer_id and read.shown == base]
            asked += [each.at for each in seen.effects if each.customer_id == customer_id and each.after == base]
        return put.at - max(at for at in asked if at < put.at)

    def _judge_put(
        self, record: CallRecord, arrival: Arrival, effect: Effect, read: Arrival | None
    ) -> Iterator[Finding]:
        """What a PUT changed besides what it names was somebody's, and is lost."""
        planned = record.planned
        versions = self._history.versions[effect.customer_id]
        before, after = versions[effect.before].leaves, versions[effect.after].leaves
        undone = [
            path
            for path, value in before.items()
            if after.get(path) != value and path not in planned.named and path != "modifiedTimestamp"
        ]
        sent = Version(arrival.at, arrival.body, planned.number)
        base = self._history.place_of(effect.customer_id, sent.stamp)
        for path in undone:
            made = effect.before
            while made > 0 and versions[made - 1].leaves.get(path) == before[path]:
                made -= 1
            change = versions[made]
            who = "somebody else" if change.by == SOMEBODY_ELSE else f"call {change.by}"
            yield Finding(
                planned.number,
                f"its PUT undid {path} = {before[path]!r} of {who}",
                LOST,
                self._why_late(record, arrival, effect) or self._why_undone(record, change, made, base, read),
            )

    def _why_late(self, record: CallRecord, arrival: Arrival, effect: Effect) -> str:
        """The bound on a PUT that takes effect when it is no more in its client's hands."""
        if effect.copy:
            return "the copy that a proxy made of a PUT"
        if effect.at - arrival.at > self._quiet(record.planned.operation):
            return "an effect later than the quiet period"
        if record.told is not None and record.told.at < effect.at:
            return "the late effect of a PUT whose caller had been told"
        return ""

    def _why_undone(
        self, record: CallRecord, change: Version, made: int, base: int | None, read: Arrival | None
    ) -> str:
        planned = record.planned
        if base is None or change.by == BEGINNING:
            return ""
        rested_at = read.at if read is not None else record.begun
        if change.at >= rested_at:
            if change.by == SOMEBODY_ELSE:
                return "somebody else, within one round trip"
            other = self._records[change.by]
            if self._group(other.planned.client) != self._group(planned.client):
                return "a client on another store, within one round trip"
            # Whether it was told truly is judged where it was told.
            if other.told is not None and other.told.at < change.at:
                return "the late effect of a write whose caller had been told"
            if other.told is not None and other.told.outcome in {Outcome.REJECTED, Outcome.NOT_APPLIED}:
                return "the effect of a write that was told as none"
            if self._came_late(change):
                # Its sender's lease may have run out meanwhile, as where the machine slept.
                return "the effect of another write, later than the quiet period"
            return self._late_copy(change)
        known = self._was_known(planned, int(change.document["id"]), rested_at)
        if known is None or known < made:
            return "a read lagged, and nobody here had seen a newer state"
        return ""

    def _came_late(self, change: Version) -> bool:
        """Whether a change came later than the quiet period after its write had arrived."""
        quiet = self._quiet(self._records[change.by].planned.operation)
        writes = self._history.seen[change.by].writes
        return any(effect.at == change.at and effect.at - each.at > quiet for each in writes for effect in each.effects)

    def _late_copy(self, change: Version) -> str:
        """The second effect of a request that a proxy doubled comes when nobody expects it."""
        copies = [e for e in self._history.seen[change.by].effects if e.copy and e.at == change.at]
        return "the copy that a proxy made of another write" if copies else ""

    # -- the quota -----------------------------------------------------------------------------------------

    def _judge_pauses(self) -> Iterator[Finding]:
        """After a 429 nothing more of that client arrives for a second, but for what was on its way."""
        for at, client in self._history.refused:
            if any(at <= cut < at + _TRAVEL for cut in self._history.cut):
                # What is cut on its way tells its client nothing.
                continue
            name = self._account(client)
            early = [
                when
                for when, who, connection, _ in self._history.arrived
                if self._account(who) == name and at + _TRAVEL < when < at + _PAUSE
                if connection not in self._history.stalled
            ]
            if early:
                yield Finding(-1, f"{len(early)} requests within a second after a 429 at {at:.3f}", OTHER)

    def _judge_budgets(self) -> Iterator[Finding]:
        """A client repeats a tenth of its calls within a minute at most, or ten where it makes few."""
        accounts = {self._account(client) for client in self._history.repeated}
        for account in sorted(accounts):
            repeated, begun = (
                sorted(at for client, times in noted.items() if self._account(client) == account for at in times)
                for noted in (self._history.repeated, self._history.begun)
            )
            for at in repeated:
                within = sum(at - _BUDGETED < other <= at for other in repeated)
                allowed = max(10.0, 0.1 * sum(at - _LONGER < other <= at for other in begun))
                if within > allowed:
                    yield Finding(-1, f"{within} requests repeated within a minute by {account}", OTHER)
                    break

    def _account(self, client: str) -> str:
        return "a" if client == "a2" else client
