"""One world: calls of several writers on a few customers, under the misfortunes that its seed draws."""

from __future__ import annotations

import asyncio
import random
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import attrs

from fusebill_async import (
    FusebillClient,
    FusebillError,
    Outcome,
    QuotaPolicy,
    Timeouts,
    UnresolvedWrite,
    UnresolvedWritesWarning,
)
from fusebill_async.operations import (
    CANCEL,
    CREATE,
    HOLD,
    HUBSPOT_UNLATCH,
    LIST,
    RELEASE_HOLD,
    REPLACE,
    UNCANCEL,
    UPDATE,
)
from fusebill_async.session.events import AttemptEvent, CallEvent, SettlingEvent
from fusebill_async.session.hooks import Hooks
from fusebill_async.stores import MemoryStore
from fusebill_async.testing import SimulatedNetwork, Trace, run_simulated
from tests.campaign.calls import CallRecord, Planned, Told, draw_named, draw_operation, shown_by
from tests.campaign.checker import OTHER, Finding, Judge
from tests.campaign.history import BEGINNING, History
from tests.campaign.marking import CALL, marked_requests
from tests.campaign.service import WorldSimulator
from tests.campaign.surroundings import CALLS, Surroundings, draw_surroundings

KEY = "Y2FtcGFpZ24tYXBpLWtleQ"
_LONGEST = 86_400.0
"""Seconds of virtual time after which a world that has not ended is stuck."""


class _WatchedTrace(Trace):
    """A trace that tells when the network has met a fault: the service cannot know what was cut on its way."""

    def __init__(self, cut: Callable[[], None], *, keep: bool) -> None:
        super().__init__(keep=keep)
        self._cut = cut

    def note(self, at: float, who: str, what: str, data: bytes = b"") -> None:
        if what.startswith("meets a fault"):
            self._cut()
        super().note(at, who, what, data)


@attrs.define(eq=False)
class WorldReport:
    """What came of a world.

    Attributes:
        seed: of the world.
        digest: the hash of its whole trace.
        findings: what the true history says against the calls, the violations among them.
        unknowns: what explains each unknown outcome.
    """

    seed: int
    digest: str = ""
    calls: int = 0
    seconds: float = 0.0
    effects: int = 0
    copies: int = 0
    refused: int = 0
    outcomes: Counter[str] = attrs.field(factory=Counter)
    faults: Counter[str] = attrs.field(factory=Counter)
    unknowns: Counter[str] = attrs.field(factory=Counter)
    findings: list[Finding] = attrs.field(factory=list)
    trace: list[str] = attrs.field(factory=list)

    @property
    def violations(self) -> list[Finding]:
        """What nothing excuses."""
        return [finding for finding in self.findings if not finding.apart]


class _NotBegunError(Exception):
    """The read that a caller makes before its write has failed."""


async def _before(read: Awaitable[Any]) -> Any:
    try:
        return await read
    except FusebillError as error:
        raise _NotBegunError from error


class _Listener(Hooks):
    """Notes in the trace what settling comes to, and keeps it for calls whose callers have left."""

    def __init__(self, world: World) -> None:
        self._world = world

    def call_begun(self, call: CallEvent) -> None:
        if call.parent_id is None:
            self._world.history.begun[CALL.get()[0]].append(self._world.now())

    def call_ended(self, call: CallEvent) -> None:
        record = self._world.records.get(CALL.get()[1])
        if call.writes and record is not None:
            record.ended = call.outcome

    def attempt_ended(self, attempt: AttemptEvent) -> None:
        if attempt.parent_id is None and attempt.followed.startswith("sent again after"):
            self._world.history.repeated[CALL.get()[0]].append(self._world.now())

    def settling_begun(self, settling: SettlingEvent) -> None:
        client, call = CALL.get()
        world = self._world
        about = f"{settling.operation} of {settling.customer_id}"
        world.note(f"call {call} ({client})", f"is being settled by reading: {about}")
        record = world.records.get(call)
        if record is not None:
            record.doubted.append(world.now())

    def settling_ended(self, settling: SettlingEvent) -> None:
        outcome = settling.outcome
        if outcome is None:
            return
        client, call = CALL.get()
        world = self._world
        world.note(f"call {call} ({client})", f"is settled: {outcome}")
        record = world.records.get(call)
        if record is not None:
            record.settled = Told(world.now(), outcome)


class World:
    """Makes one world and runs it.

    Args:
        seed: everything follows from it.
        keep: keep the trace, to be read.
        calls: how many.
    """

    def __init__(self, seed: int, *, keep: bool = False, calls: int = CALLS) -> None:
        self.surroundings: Surroundings = draw_surroundings(seed)
        self.records: dict[int, CallRecord] = {}
        self.history = History()
        self.report = WorldReport(seed)
        self._trace = _WatchedTrace(self._note_cut, keep=keep)
        self._chance = random.Random(f"calls {seed}")
        self._network = self._make_network()
        self._calls = calls
        self._begun = 0
        self._pause = self._chance.choice((0.0, 0.02, 0.5, 5.0))
        self._customers: list[int] = []
        self._clients: dict[str, Any] = {}
        self._simulator: WorldSimulator

    def _make_network(self) -> SimulatedNetwork:
        chance = random.Random(f"network {self.report.seed}")
        amount = chance.uniform(0.005, 0.05) if chance.random() < 0.4 else 0.0
        split = chance.uniform(0.1, 1.0) if chance.random() < 0.3 else 0.0
        # Nothing stalls: what is stalled on its way to the service is an effect beyond every quiet period.
        return SimulatedNetwork(
            split=split, refuse=amount, hang=0.3 * amount, reset=amount, half_close=0.5 * amount, trace=self._trace
        )

    def _note_cut(self) -> None:
        if hasattr(self, "_simulator"):
            self.history.cut.append(self.now())

    def now(self) -> float:
        """The true time, in seconds since 1970."""
        return self._simulator.seconds()

    def note(self, who: str, what: str, data: bytes = b"") -> None:
        """Note an event in the trace."""
        self._network.note(who, what, data)

    def run(self) -> WorldReport:
        """Run it to its end, and judge every call."""
        with marked_requests(self._note_hand_out), warnings.catch_warnings():
            warnings.simplefilter("ignore", UnresolvedWritesWarning)
            run_simulated(self._main, seed=self.report.seed, network=self._network, limit=_LONGEST)
        report = self.report
        report.digest = self._trace.digest()[:16]
        report.trace = [str(event) for event in self._trace.events]
        Judge(self.surroundings, self.history, self.records, report).judge()
        return report

    # -- its course ----------------------------------------------------------------------------------------

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        world = self.surroundings
        self.note("world", str(world))
        self._simulator = WorldSimulator(world, self.history, self.note, self._network.loop.clock.now)
        async with self._simulator as simulator:
            self._customers += [simulator.add_known(status, BEGINNING) for status in world.customers]
            self._open_clients()
            others = loop.create_task(self._others()) if world.others else None
            idle = loop.create_task(self._end_idle_connections())
            async with asyncio.TaskGroup() as group:
                for _ in range(world.callers):
                    group.create_task(self._caller())
            idle.cancel()
            if others is not None:
                others.cancel()
            simulator.misfortune.peaceful = True
            self._network.script(*[None] * 10_000)
            self.note("world", "from here on there is peace")
            await simulator.wait_for_late_effects()
            await self._settle()
            self._check_quotas()
            for name in ("a", "b", "c"):
                if name in self._clients:
                    await self._clients[name].aclose()
            self.report.faults += simulator.misfortune.counts
            self.report.refused = len(self.history.refused)
        self.report.calls = len(self.records)
        self.report.seconds = loop.time() - began

    def _open_clients(self) -> None:
        store = MemoryStore()
        for name in self.surroundings.clients:
            if name == "a2":
                self._clients[name] = self._clients["a"].with_options(timeouts=Timeouts(read=20.0, queue=60.0))
                continue
            self._clients[name] = FusebillClient(
                KEY,
                base_url=self._simulator.base_url,
                settling=self.surroundings.settling,
                quota=QuotaPolicy(),
                store=MemoryStore() if name == "c" else store,
                hooks=[_Listener(self)],
            )

    async def _end_idle_connections(self) -> None:
        """End the connections that nobody uses, as a service does: now with FIN, now with RST."""
        reset = False
        while True:
            await asyncio.sleep(7.3)
            self._simulator.close_idle_connections(reset=reset)
            reset = not reset

    async def _others(self) -> None:
        """Somebody else acts now and then."""
        world, simulator = self.surroundings, self._simulator
        chance = random.Random(f"others {world.seed}")
        for number in range(1_000_000):
            await asyncio.sleep(chance.expovariate(1 / world.others))
            customer_id = chance.choice(self._customers)
            status, kind = simulator.customer(customer_id)["status"], chance.random()
            if kind < 0.6:
                field = chance.choice(("company_name", "first_name", "middle_name", "primary_email"))
                simulator.change_as_somebody_else(customer_id, **{field: f"other{number}@example.com"})
            elif kind < 0.75 and status in {"Active", "Suspended"}:
                # The system comes and goes with Suspended.
                simulator.change_as_somebody_else(customer_id, status="Suspended" if status == "Active" else "Active")
            elif kind < 0.85:
                simulator.act_as_somebody_else(HUBSPOT_UNLATCH, customer_id)
            else:
                fitting = [
                    each for each in (HOLD, RELEASE_HOLD, CANCEL, UNCANCEL) if status in (each.allowed_from or ())
                ]
                if fitting:
                    operation = chance.choice(fitting)
                    options: dict[str, Any] = {
                        RELEASE_HOLD: {"service_start_option": "NoChargesForMissedPeriods"},
                        CANCEL: {"cancellation_option": "None"},
                    }.get(operation, {})
                    simulator.act_as_somebody_else(operation, customer_id, **options)

    async def _caller(self) -> None:
        while self._begun < self._calls:
            number = self._begun
            self._begun += 1
            if self._pause:
                await asyncio.sleep(self._chance.expovariate(1 / self._pause))
            record = CallRecord(self._draw(number), self.now())
            self.records[number] = record
            self.note(f"call {number} ({record.planned.client})", f"begins: {record.planned}")
            record.told = await self._told(record.planned)
            self.note(f"call {number} ({record.planned.client})", f"is told: {record.told} {record.told.message}")
            created = record.told.customer_id
            if created is not None and created not in self._customers:
                self._customers.append(created)

    def _draw(self, number: int) -> Planned:
        chance, world = self._chance, self.surroundings
        # The newest are of interest, and the old ones stay crowded.
        customer_id = chance.choice(self._customers[: len(world.customers)] + self._customers[-2:])
        operation = draw_operation(chance, self._simulator.customer(customer_id)["status"])
        patient = chance.random() >= world.cancelled
        instant = chance.choice((0.02, 0.2, 12.0)) * chance.random()
        return Planned(
            number=number,
            client=chance.choice(world.clients),
            operation=operation,
            customer_id=None if operation in {CREATE, LIST} else customer_id,
            named=draw_named(chance, operation, world.seed, number),
            way=chance.choice(("id", "id", "customer", "edit")),
            pause=chance.choice((0.0, 0.4, 3.0)) * chance.random(),
            read_first=operation is not CREATE and operation.writes and chance.random() < 0.4,
            resend=chance.random() < 0.4,
            cancelled_after=None if patient else instant,
            deadline=chance.choice((0.05, 1.0, 20.0)) if chance.random() < world.hurried else None,
        )

    # -- a call --------------------------------------------------------------------------------------------

    async def _told(self, planned: Planned) -> Told:
        """Make a call as a task of its own, cancel it if that is planned, and say how its caller saw it end."""
        task = asyncio.get_running_loop().create_task(self._outcome(planned))
        if planned.cancelled_after is not None:
            await asyncio.wait({task}, timeout=planned.cancelled_after)
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return Told(self.now(), None)

    async def _outcome(self, planned: Planned) -> Told:
        CALL.set((planned.client, planned.number))
        try:
            async with asyncio.timeout(planned.deadline):
                response = await self._verb(planned)
        except _NotBegunError:
            return Told(self.now(), Outcome.NOT_SENT, error="not begun: the read before it failed")
        except FusebillError as error:
            return Told(
                self.now(),
                error.outcome,
                error=type(error).__name__,
                message=str(error),
                intent_id=getattr(error, "intent_id", None),
            )
        except TimeoutError:
            return Told(self.now(), None, error="deadline of the caller")
        if not hasattr(response, "confirmed_by"):
            return Told(self.now(), Outcome.APPLIED)
        shown, stamp = shown_by(response.value)
        return Told(
            self.now(),
            Outcome.APPLIED,
            response.confirmed_by,
            response.attribution,
            customer_id=shown,
            stamp=stamp,
        )

    async def _verb(self, planned: Planned) -> Any:
        client, operation = self._clients[planned.client], planned.operation
        plain, customers = client.customers, client.with_response.customers
        subject: Any = planned.customer_id
        if operation is LIST:
            return [customer async for customer in customers.list({"status": "Active"})]
        if operation is CREATE:
            return await customers.create(**planned.arguments)
        if operation is UPDATE and planned.way == "edit":
            editing = plain.edit(subject)
            draft = await _before(editing.__aenter__())
            await asyncio.sleep(planned.pause)
            planned.assign(draft)
            await editing.__aexit__(None, None, None)
            return draft.result
        if planned.read_first or operation is REPLACE or (operation is UPDATE and planned.way == "customer"):
            subject = await _before(plain.get(subject))
            self._note_read(planned, subject)
            await asyncio.sleep(planned.pause)
        if operation is UPDATE:
            return await customers.update(subject, **planned.paths)
        if operation is REPLACE:
            planned.assign(subject)
            return await customers.replace(subject)
        if not operation.writes:
            subject = planned.customer_id
        verb = getattr(getattr(client.with_response, operation.resource), operation.name)
        return await verb(subject, **planned.arguments)

    def _note_hand_out(self, call: int) -> None:
        self.history.handed_out[call] = self.now()

    def _note_read(self, planned: Planned, customer: Any) -> None:
        """A caller has read a customer: from here on its client has seen it."""
        shown, stamp = shown_by(customer)
        self.history.told.append((self.now(), planned.client, shown, stamp))

    # -- its end -------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Wait until nothing is under way, and resolve what is left."""
        names = [name for name in ("a", "b", "c") if name in self._clients]
        while any(write.state != "unknown" for name in names for write in self._clients[name].unresolved()):  # noqa: ASYNC110
            await asyncio.sleep(1.0)
        # One client on a store lists what another one has in flight.
        await asyncio.sleep(1.0)
        resolved: list[str] = []
        for name in names:
            client = self._clients[name]
            CALL.set((name, -1))
            for write in client.unresolved():
                if write.id in resolved:
                    # Another client on the same store has looked into it.
                    continue
                resolved.append(write.id)
                record = self._record_of(write)
                if record is not None:
                    self._check_left(record)
                    CALL.set((name, record.planned.number))
                with suppress(KeyError):
                    resolution = await client.resolve(write)
                    self.note("world", f"resolves {write}: {resolution.outcome} ({resolution.reason})")
                    if record is None:
                        self.report.findings.append(Finding(-1, f"unresolved, but nobody's: {write}"))
                    else:
                        record.resolved = Told(
                            self.now(), resolution.outcome, None, resolution.attribution, message=resolution.reason
                        )

    def _check_left(self, record: CallRecord) -> None:
        """A write whose caller has left goes on in the background: it is settled there, before anybody resolves it."""
        told, writes = record.told, self.history.seen[record.planned.number].writes
        if told is None or told.outcome is not None or record.settled is not None or not writes:
            return
        what = "its caller had left, and nobody went on with the write that was sent"
        self.report.findings.append(Finding(record.planned.number, what, OTHER))

    def _check_quotas(self) -> None:
        """Nothing is under way any more, so nothing of the quota is lent."""
        for name, client in self._clients.items():
            held = client._core.session.admission._quota._held
            if held:
                self.report.findings.append(Finding(-1, f"quota lent and never returned: {held} of {name}", OTHER))

    def _record_of(self, write: UnresolvedWrite) -> CallRecord | None:
        """The call that an unresolved write was."""
        candidates = []
        for record in self.records.values():
            planned, told = record.planned, record.told
            if told is not None and told.intent_id == write.id:
                return record
            title = UPDATE.title if planned.operation is REPLACE else planned.operation.title
            same = {planned.operation.title, title} & {write.operation}
            if not same or planned.customer_id != write.customer_id or record.resolved is not None:
                continue
            if planned.operation is CREATE and planned.named["reference"] != write.reference:
                continue
            if record.ended not in {None, Outcome.UNKNOWN}:
                # Its outcome became known after its caller had left: what is open is another one.
                continue
            if told is None or told.outcome is None or (told.outcome is Outcome.UNKNOWN and told.intent_id is None):
                candidates.append(record)
        sent = [record for record in candidates if self.history.seen[record.planned.number].writes]
        return (sent or candidates or [None])[0]
