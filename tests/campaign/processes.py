"""A world of several processes on one store, which are killed, stopped and cut off while they write."""

from __future__ import annotations

import asyncio
import math
import random
from contextlib import AsyncExitStack, suppress
from itertools import count
from typing import Any

import attrs

from fusebill_async import (
    FusebillClient,
    FusebillError,
    NotUnresolvedError,
    QuotaPolicy,
    StoreUnavailableError,
    UnresolvedWrite,
)
from fusebill_async.operations import BY_TITLE, CREATE, LIST, REPLACE, UPDATE
from fusebill_async.stores.effects import StoreEffects
from fusebill_async.stores.lease import MARGIN
from fusebill_async.testing import ClockSkew, Request
from fusebill_async.testing.scripts import Script
from fusebill_async.testing.server import Connection
from fusebill_async.testing.simulated_process import SimulatedProcess, is_gone
from tests.campaign.calls import CallRecord, Planned, Told
from tests.campaign.checker import LOST, OLD, OTHER, UNRECORDED, Finding
from tests.campaign.history import BEGINNING
from tests.campaign.marking import CALL, HEADER, mark_of
from tests.campaign.service import WorldSimulator
from tests.campaign.shared_store import SharedFile, SharedRedis, Way
from tests.campaign.surroundings import CALLS, Surroundings
from tests.campaign.world import KEY, World, WorldReport, _Listener

WITHOUT_INTENT = "a write without a durable intent"
WITHOUT_LEASE = "a write whose sender has no lease, or one that is about to run out"
_REDIS_LOST = "Redis lost what it had acknowledged"
_STALLED = "the service had not looked at its connection for long"
_TURN = 1e-3
"""Seconds that are more than a turn of the event loop in virtual time."""
_SLEPT = "the machine slept while it travelled"
_IN_BETWEEN = "its sender was stopped between its last look at the lease and the first byte"
_LEASE = 10.0
_TAIL = 1.0
"""Seconds of writes that a restart of Redis may lose, as with `appendfsync everysec`."""
_TRAVEL = 0.1
_SPARE = MARGIN * _LEASE - _TRAVEL
"""Seconds that are left of a lease at least when a write arrives."""


@attrs.define(eq=False)
class _Worker:
    """One place for a process; when its process is killed, another one comes."""

    place: int
    process: SimulatedProcess
    name: str
    way: Way
    stopped: list[tuple[float, float]] = attrs.field(factory=list)
    stops_at: str = ""
    """It is stopped when its next read arrives, or when the store is asked to record its next intent."""
    stops_for: float = 0.0


class _CheckedSimulator(WorldSimulator):
    """Looks into the store whenever a write arrives."""

    world: ProcessWorld

    def respond(self, request: Request, connection: Connection) -> bytes | Script | None:
        """Check, then answer."""
        client, call = mark_of(request.headers.get(HEADER))
        answer = super().respond(request, connection)
        operation = BY_TITLE.get(request.operation)
        if operation is not None and not operation.writes:
            self.world.has_come_to(client, "read")
        elif operation is not None and call >= 0:
            self.world.check_arrival(client, call, request)
        return answer


def _calmed(surroundings: Surroundings) -> Surroundings:
    """What befalls processes and stores is there in place of what befalls replicas, clocks and proxies."""
    return attrs.evolve(
        surroundings,
        clients=("p",),
        proxied=0.0,
        lag=0.0,
        lagging=0.0,
        skew=ClockSkew(),
        quota=None,
        beyond=False,
        faulty=0.5 * surroundings.faulty,
        blind=0.5 * surroundings.blind,
        others=0.0,
    )


class ProcessWorld(World):
    """Makes one world of processes and runs it; see `World`."""

    def __init__(self, seed: int, *, keep: bool = False, calls: int = CALLS) -> None:
        super().__init__(seed, keep=keep, calls=calls)
        self.surroundings = _calmed(self.surroundings)
        self._trouble = random.Random(f"processes {seed}")
        on_redis, delay = self._trouble.random() < 0.5, self._trouble.choice((0.001, 0.03))
        wait = random.Random(f"wait {seed}").choice((0.0, 5.0))
        self._shared: SharedFile | SharedRedis = SharedRedis(delay, wait) if on_redis else SharedFile()
        self._workers: list[_Worker] = []
        self._processes: list[SimulatedProcess] = []
        self._left_open: dict[int, set[str]] = {}
        """The intents that stood in the store when a call began."""
        self._intents: dict[str, int] = {}
        """Whose call an intent is, as its write arrived."""
        self._lost_at: list[float] = []
        """When Redis lost something."""
        self._suspended: list[tuple[float, float]] = []
        self._pids = count(1000)
        self._due = set(self._trouble.sample(range(calls), min(calls, self._trouble.randint(5, 11))))

    def run(self) -> WorldReport:
        """Run it to its end, and judge every call."""
        report = super().run()
        report.findings = [self._without_what_redis_lost(finding) for finding in report.findings]
        # A machine that sleeps while a PUT travels makes the read old that it rests on. Who was stopped between its
        # last look and the first byte has sent when others had its lease.
        slept = {finding.call: finding.apart for finding in report.findings if finding.apart in {_SLEPT, _IN_BETWEEN}}
        report.findings = [
            attrs.evolve(finding, apart=slept[finding.call])
            if finding.call in slept and (OLD in finding.what or slept[finding.call] == _IN_BETWEEN)
            else finding
            for finding in report.findings
        ]
        return report

    def _without_what_redis_lost(self, finding: Finding) -> Finding:
        """A lease that Redis has lost protects nothing: others write while a PUT is under way."""
        record = self.records.get(finding.call)
        if finding.kind != LOST or finding.apart or record is None or record.told is None:
            return finding
        lost = any(record.begun - _LEASE < at < record.told.at for at in self._lost_at)
        return attrs.evolve(finding, apart=_REDIS_LOST) if lost else finding

    # -- its course ----------------------------------------------------------------------------------------

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        world = self.surroundings
        kind = type(self._shared).__name__
        self.note("world", f"{kind}, {world}")
        self._simulator = _CheckedSimulator(world, self.history, self.note, self._network.loop.clock.now)
        self._simulator.world = self
        try:
            async with self._simulator as simulator:
                self._customers += [simulator.add_known(status, BEGINNING) for status in world.customers[:4]]
                for place in range(self._trouble.randint(2, 4)):
                    self._workers.append(self._new_worker(place))
                async with asyncio.TaskGroup() as group:
                    for worker in list(self._workers):
                        group.create_task(self._keep_running(worker))
                simulator.misfortune.peaceful = True
                self._network.script(*[None] * 10_000)
                self.note("world", "from here on there is peace")
                await simulator.wait_for_late_effects()
                await self._settle_what_is_left()
                self.report.faults += simulator.misfortune.counts
        finally:
            self._shared.close()
        self.report.calls = len(self.records)
        self.report.seconds = loop.time() - began

    def _new_worker(self, place: int) -> _Worker:
        pid = next(self._pids)
        process = SimulatedProcess(pid)
        self._processes.append(process)
        name = f"p{place}.{pid}"
        numbers = count()
        effects = StoreEffects(
            new_name=lambda: f"{name}-{next(numbers)}",
            threads=False,
            this_process=lambda: process.identity,
            is_gone=is_gone(self._processes),
        )
        way = self._shared.way(process, name, effects, _LEASE)
        way.at_record = lambda: self.has_come_to(name, "record")
        return _Worker(place, process, name, way)

    async def _keep_running(self, worker: _Worker) -> None:
        """Run a process, and another one after each that is killed, until there is nothing more to do."""
        while True:
            self.note("world", f"{worker.name} starts")
            task = worker.process.start(self._live(worker))
            if await worker.process.wait(task):
                task.result()
                return
            self.note("world", f"{worker.name} is dead")
            for record in self.records.values():
                if record.planned.client == worker.name and record.told is None:
                    record.told = Told(self.now(), None, error="its process was killed")
            self.report.faults["process killed"] += 1
            await asyncio.sleep(self._trouble.choice((0.1, 2.0, 15.0)) * self._trouble.random())
            worker = self._new_worker(worker.place)
            self._workers[worker.place] = worker

    async def _live(self, worker: _Worker) -> None:
        """What a process does: settle what a dead one left, and make calls."""
        async with AsyncExitStack() as stack:
            client = await self._enter_client(worker, stack)
            self._clients[worker.name] = client
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take_over(worker, client))
                for _ in range(max(1, self.surroundings.callers // 3)):
                    group.create_task(self._call(worker))

    async def _enter_client(self, worker: _Worker, stack: AsyncExitStack) -> FusebillClient:
        """A client, once its store is there: a process that ends without it is started again."""
        while True:
            try:
                return await stack.enter_async_context(self._client_of(worker))
            except StoreUnavailableError:
                await asyncio.sleep(1.0)

    def _client_of(self, worker: _Worker) -> FusebillClient:
        return FusebillClient(
            KEY,
            base_url=self._simulator.base_url,
            settling=self.surroundings.settling,
            quota=QuotaPolicy.off(),
            store=worker.way.store,
            hooks=[_LivingListener(self, worker.process)],
        )

    async def _take_over(self, worker: _Worker, client: FusebillClient) -> None:
        with suppress(FusebillError):
            for write in client.unresolved():
                await self._resolve(worker.name, client, write)

    async def _resolve(self, name: str, client: FusebillClient, write: UnresolvedWrite) -> None:
        number = self._intents.get(write.id, -1)
        CALL.set((name, number))
        with suppress(NotUnresolvedError):
            resolution = await client.resolve(write)
            self.note(name, f"resolves {write.id} of call {number}: {resolution.outcome} ({resolution.reason})")
            record = self.records.get(number)
            if record is not None:
                record.resolved = Told(
                    self.now(), resolution.outcome, None, resolution.attribution, message=resolution.reason
                )

    async def _call(self, worker: _Worker) -> None:
        while self._begun < self._calls:
            number = self._begun
            self._begun += 1
            if self._pause:
                await asyncio.sleep(self._chance.expovariate(2 / self._pause))
            planned = attrs.evolve(self._draw_write(number), client=worker.name)
            record = CallRecord(planned, self.now())
            self._left_open[number] = {intent.id for intent in self._shared.intents()}
            self.records[number] = record
            self.note(f"call {number} ({worker.name})", f"begins: {planned}")
            if number in self._due:
                self._network.loop.call_later(
                    self._trouble.choice((0.02, 0.3, 3.0)) * self._trouble.random(),
                    self._befall,
                    context=self._network.context.copy(),
                )
            record.told = await self._told(planned)
            self.note(f"call {number} ({worker.name})", f"is told: {record.told} {record.told.message}")

    def _draw_write(self, number: int) -> Planned:
        while True:
            planned = self._draw(number)
            if planned.operation not in {CREATE, LIST}:
                return planned

    # -- what befalls its processes --------------------------------------------------------------------------

    def _befall(self) -> None:
        """Let something befall a process, the store or the machine."""
        chance = self._trouble
        living = [each for each in self._workers if not each.process.is_dead]
        if not living:
            return
        worker, kind = chance.choice(living), chance.random()
        if kind < 0.40:
            worker.process.kill()
        elif kind < 0.55:
            # It dies in its next commit; of what stands on Redis, its answer may be under way.
            worker.way.dies_at = chance.choice(("before", "after"))
            if worker.way.driver is not None:
                worker.process.kill()
        elif kind < 0.60:
            self.note("world", "the power is cut")
            for each in living:
                each.process.kill()
        elif kind < 0.85:
            about = chance.uniform(0.55, 1.0) * _LEASE
            seconds = chance.choice((0.5, about, about, _LEASE + 2.0, 2 * _LEASE, 5 * _LEASE))
            places = ("", "read") if worker.way.driver is None else ("", "read", "record", "record")
            worker.stops_at, worker.stops_for = chance.choice(places), seconds
            if not worker.stops_at:
                self._stop(worker, seconds)
        elif kind < 0.89:
            self._suspend(chance.choice((1.0, _LEASE + 2.0)))
        else:
            self._cut_off(worker)

    def has_come_to(self, client: str, place: str) -> None:
        """A process has come to a place where it may be stopped."""
        for worker in self._workers:
            if worker.name == client and worker.stops_at == place and not worker.process.is_dead:
                worker.stops_at = ""
                self._stop(worker, worker.stops_for)

    def _stop(self, worker: _Worker, seconds: float) -> None:
        if worker.process.is_stopped:
            return
        self.note("world", f"{worker.name} is stopped for {seconds} s")
        self.report.faults["stopped beyond the lease" if seconds > _LEASE else "stopped shortly"] += 1
        worker.stopped.append((self.now(), self.now() + seconds))
        worker.process.stop()
        self._network.loop.call_later(seconds, self._go_on, worker, context=self._network.context.copy())

    def _go_on(self, worker: _Worker) -> None:
        self.note("world", f"{worker.name} is continued")
        if not worker.process.is_dead:
            worker.process.go_on()

    def _suspend(self, seconds: float) -> None:
        self.note("world", f"the machine sleeps for {seconds} s")
        self.report.faults["machine suspended"] += 1
        began = self.now()
        self._network.loop.clock.suspend(seconds)
        self._suspended.append((began, self.now()))

    def _cut_off(self, worker: _Worker) -> None:
        driver, seconds = worker.way.driver, self._trouble.choice((0.3, 3.0, _LEASE + 5.0))
        if driver is None or not isinstance(self._shared, SharedRedis):
            worker.process.kill()
            return
        twin, later = self._shared.twin, self._network.context.copy()
        if self._trouble.random() < 0.3:
            self.note("world", f"Redis is down for {seconds} s")
            self.report.faults["Redis restarted"] += 1
            twin.stop()
            lost = self._trouble.choice((0.0, _TAIL))
            self._network.loop.call_later(seconds, self._start_redis, lost, context=later)
            return
        driver.fault = self._trouble.choice(("refused", "request lost", "request late", "answer lost"))
        self.note("world", f"{worker.name} is cut off from Redis for {seconds} s: {driver.fault}")
        self.report.faults["cut off from Redis"] += 1
        self._network.loop.call_later(seconds, driver.mend, context=later)

    def _start_redis(self, lost: float) -> None:
        assert isinstance(self._shared, SharedRedis)
        self.note("world", f"Redis is back, without its last {lost} s")
        # What is lost is what came right before it went down.
        self._shared.twin.start(lost=lost)
        if lost:
            self._lost_at.append(self.now())

    # -- what the service checks -----------------------------------------------------------------------------

    def check_arrival(self, client: str, call: int, request: Request) -> None:
        """A write has arrived: its intent is in the store, and its sender has the lease of the customer."""
        record, operation, customer_id = self.records.get(call), request.operation, request.customer_id
        if record is None or customer_id is None:
            return
        recorded = self._recorded(record, customer_id)
        lost = any(at > record.begun for at in self._lost_at)
        stalled = request.connection in self.history.stalled
        if not recorded:
            # Another process may have settled it, by reads, before the service took it off its connection.
            apart = _STALLED if stalled else _REDIS_LOST if lost else ""
            self.report.findings.append(Finding(call, f"{WITHOUT_INTENT}: {operation}", UNRECORDED, apart))
        if self._shared.lease_left(client, customer_id) < _SPARE:
            apart = _STALLED if stalled else self._why_without_lease(client, call, lost=lost)
            self.report.findings.append(Finding(call, f"{WITHOUT_LEASE}: {operation}", OTHER, apart))

    def _recorded(self, record: CallRecord, customer_id: int) -> bool:
        """Whether an intent of a call stands in the store. What stood there before, or is another call's, is none."""
        number, operation = record.planned.number, record.planned.operation
        titles = {operation.title, UPDATE.title} if operation is REPLACE else {operation.title}
        new = [
            intent
            for intent in self._shared.intents()
            if intent.customer_id == customer_id
            and intent.operation in titles
            and intent.id not in self._left_open[number]
        ]
        # What a dead process has sent may arrive when the next one has recorded its own.
        own = [intent for intent in new if self._intents.get(intent.id) == number]
        own = own or [intent for intent in new if intent.id not in self._intents][:1]
        self._intents.update((intent.id, number) for intent in own)
        return bool(own)

    def _why_without_lease(self, client: str, call: int, *, lost: bool) -> str:
        """What took the lease away while the write travelled, "" if nothing did."""
        worker = next((each for each in self._workers if each.name == client), None)
        if worker is None or worker.process.is_dead:
            return "its sender was dead when it arrived"
        if lost:
            return _REDIS_LOST
        now = self.now()
        if any(now - _TRAVEL < ended for _, ended in self._suspended):
            return _SLEPT
        if any(began < now < ended for began, ended in worker.stopped):
            return "its sender was stopped while it travelled"
        looked = self.history.handed_out.get(call, math.inf)
        if any(looked <= began < looked + _TURN and ended <= now for began, ended in worker.stopped):
            return _IN_BETWEEN
        return ""

    # -- its end ---------------------------------------------------------------------------------------------

    async def _settle_what_is_left(self) -> None:
        if isinstance(self._shared, SharedRedis) and not self._shared.twin.is_up:
            self._start_redis(0.0)
        await asyncio.sleep(200.0)
        await self._look_in_from_elsewhere()
        last = self._new_worker(9)
        self._workers.append(last)
        async with self._client_of(last) as client:
            self._clients[last.name] = client
            for write in client.unresolved():
                await self._resolve(last.name, client, write)
            left = client.unresolved()
        if left:
            self.note("world", f"left open as unknown: {left}")
        unlisted = {intent.id for intent in self._shared.intents()} - {write.id for write in left}
        if unlisted:
            self.report.findings.append(Finding(-1, f"left open, and nobody lists it: {sorted(unlisted)}", OTHER))

    async def _look_in_from_elsewhere(self) -> None:
        """A client with another API key opens the same store: it is another account, and is shown nothing."""
        stranger = self._new_worker(8)
        async with FusebillClient("another-key", base_url=self._simulator.base_url, store=stranger.way.store) as client:
            shown = client.unresolved()
        if shown:
            self.report.findings.append(Finding(-1, f"another account is shown what is open: {shown}", OTHER))


class _LivingListener(_Listener):
    """Hears nothing of what a dead process does when its frames are let go of."""

    def __init__(self, world: ProcessWorld, process: SimulatedProcess) -> None:
        super().__init__(world)
        self._process = process

    def call_ended(self, *about: Any) -> None:
        """Note it."""
        if not self._process.is_dead:
            super().call_ended(*about)

    def settling_begun(self, *about: Any) -> None:
        """Note it."""
        if not self._process.is_dead:
            super().settling_begun(*about)

    def settling_ended(self, *about: Any) -> None:
        """Note it."""
        if not self._process.is_dead:
            super().settling_ended(*about)
