"""The service of the campaign: the simulator, the schedule of what goes wrong, and what it saw, as the oracle."""

from __future__ import annotations

import asyncio
import pickle
import random
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import attrs

from fusebill_async.operations import CREATE, GET, LIST, REPLACE, UPDATE
from fusebill_async.testing import Fault, FusebillSimulator
from fusebill_async.testing.customers import StoredCustomer, text_of
from fusebill_async.testing.effect_log import Effect
from fusebill_async.testing.faults import FaultScript, Level
from fusebill_async.testing.messages import Headers, Request
from fusebill_async.testing.routing import identify
from fusebill_async.testing.store import CustomerStore
from fusebill_async.wire.request import build_request
from tests.campaign.sockets_schedule import MIXES, Mix, Other, Planned, arguments_of, plan_call

_ROOT = Path(__file__).parents[2]

_READING = frozenset({GET.title, LIST.title})
_CREATED_FROM = 10**12
"""The ids of customers that are created; those that the schedule makes are below."""

SOMEBODY_ELSE = -1
"""Stands for the connection of an effect that was not this client's."""

_ON_ACCEPT = (Fault.reset_on_accept(), Fault.close_on_accept(), Fault.stall_connect(seconds=0.02))
_BLINDNESS = (
    Fault.status(503),
    Fault.reset_before_effect(),
    Fault.close_before_effect(),
    Fault.html(code=502),
    Fault.bad_json(),
)


@attrs.define(eq=False)
class Seen:
    """What the service saw of one call.

    Attributes:
        arrivals: when the requests of its operation came.
        effects: (when, whether it was this client's) for each effect of its operation.
        foreign: effects of other operations by somebody else.
        latest: seconds between the request and the latest of its late effects.
        reads: how many reads of the customer came after the write, before the peace, and how many of them failed.
    """

    arrivals: list[float] = attrs.field(factory=list)
    effects: list[tuple[float, bool]] = attrs.field(factory=list)
    foreign: int = 0
    latest: float = 0.0
    reads: int = 0
    reads_failed: int = 0


@attrs.define(eq=False)
class _Turn:
    """What still awaits one call."""

    planned: Planned
    title: str
    faults: deque[Fault | None]
    read_faults: deque[Fault | None]
    other: Other | None
    seen: Seen = attrs.field(factory=Seen)


class Schedule(FaultScript):
    """The faults of a batch of calls, found by customer, since a list of thousands would be the service's speed."""

    def __init__(self, seed: int, mix: Mix, act: Callable[[int, Other], None]) -> None:
        super().__init__(seed)
        self.turns: dict[int, _Turn] = {}
        self.counts: Counter[str] = Counter()
        self.peaceful = False
        self._act = act
        self._mix = mix
        self._chance = random.Random(seed)

    def __bool__(self) -> bool:
        return True

    def strike(
        self,
        level: Level,
        at: float,
        connection: int,
        operation: str = "",
        customer_id: int | None = None,
    ) -> Fault | None:
        """What befalls a connection or a request."""
        if level != "request":
            if level == "accept" and not self.peaceful and self._chance.random() < self._mix.connections:
                return self._count(self._chance.choice(_ON_ACCEPT))
            return None
        turn = self.turns.get(customer_id) if customer_id is not None else None
        if turn is None:
            return None
        return self._strike(turn, at, operation)

    def _strike(self, turn: _Turn, at: float, operation: str) -> Fault | None:
        seen, other = turn.seen, turn.other
        if operation in _READING:
            if other is not None and other.moment == "earlier":
                turn.other = None
                self._act(turn.planned.customer_id, other)
            if turn.title != operation:
                if self.peaceful or not seen.arrivals:
                    return None
                fault = self._read_fault(turn)
                seen.reads += 1
                seen.reads_failed += fault is not None
                return fault
        if operation != turn.title:
            return None
        seen.arrivals.append(at)
        if other is not None and other.moment == "meanwhile":
            turn.other = None
            self._act(turn.planned.customer_id, other)
        fault = turn.faults.popleft() if turn.faults and not self.peaceful else None
        return None if fault is None else self._count(fault)

    def _read_fault(self, turn: _Turn) -> Fault | None:
        if turn.planned.blind:
            return self._count(self._chance.choice(_BLINDNESS))
        fault = turn.read_faults.popleft() if turn.read_faults else None
        return None if fault is None else self._count(fault)

    def _count(self, fault: Fault) -> Fault:
        self.counts[f"{fault.kind} {fault['code']}" if fault.kind == "status" else fault.kind] += 1
        return fault


def subject_of(request: Request) -> int | None:
    """The customer that a request is about; of a create and of a search the one whom the schedule stands it for."""
    if request.operation == CREATE.title:
        reference = text_of(request.fields["reference"])
    elif request.operation == LIST.title:
        reference = request.options["query"].partition(":")[2]
    else:
        return request.customer_id
    return int(reference.removeprefix("call-")) + 1


class _Simulator(FusebillSimulator):
    """Knows a create by its reference, and notes how late the late effects really were.

    A busy machine is a slow service.
    """

    schedule: Schedule

    def _strike(self, request: Request) -> Fault | None:
        at = self._clock.seconds()
        return self._faults.strike("request", at, request.connection, request.operation, subject_of(request))

    def perform_later(self, seconds: float, request: Request) -> None:
        """Let a request have its effect later."""
        promised = asyncio.get_running_loop().time()
        promise = object()

        def perform() -> None:
            del self._late[promise]
            turn = self.schedule.turns.get(subject_of(request) or 0)
            if turn is not None:
                turn.seen.latest = max(turn.seen.latest, asyncio.get_running_loop().time() - promised)
            self.service.answer(request)
            self._signal_late()

        self._late[promise] = asyncio.get_running_loop().call_later(seconds, perform)


class _Created:
    """The customers that were created: only they are searched for, and a search goes through all that it sees."""

    def __init__(self, store: CustomerStore) -> None:
        self._store = store
        self.peek = store.peek

    @property
    def version(self) -> int:
        return self._store.version

    def ids(self) -> list[int]:
        return sorted(number for number in self._store._customers if number >= _CREATED_FROM)

    def scan(self) -> Iterator[StoredCustomer]:
        return (self._store.peek(number) for number in self.ids())


class CampaignService:
    """The simulator under the schedule. `begin` a batch of calls, let it `end`, and ask what was `seen`."""

    def __init__(self, seed: int, mix: Mix) -> None:
        self._seed = seed
        self._mix = mix
        self.simulator = _Simulator(seed=seed, record_requests=False)
        self.schedule = Schedule(seed, mix, self._act)
        self.simulator.schedule = self.schedule
        self.simulator._faults = self.schedule
        self.simulator._store._next_id = _CREATED_FROM
        self.simulator.service._listing._store = cast("CustomerStore", _Created(self.simulator._store))
        self._idle: asyncio.Task[None] | None = None
        self._acting = 0

    async def start(self) -> str:
        """Listen; the address."""
        await self.simulator.start()
        return self.simulator.base_url

    async def begin(self, first: int, count: int) -> None:
        """Make the customers of the calls, and let the trouble wait for them."""
        self.schedule.peaceful = False
        for number in range(first, first + count):
            planned = plan_call(self._seed, number, self._mix)
            if planned.operation is not CREATE:
                self.simulator.add_customer(id=planned.customer_id, status=planned.status, **planned.fields)
            operation = UPDATE if planned.operation is REPLACE else planned.operation
            self.schedule.turns[planned.customer_id] = _Turn(
                planned, operation.title, deque(planned.faults), deque(planned.read_faults), planned.other
            )
        self._idle = asyncio.get_running_loop().create_task(self._disturb_idle_connections())

    async def _disturb_idle_connections(self) -> None:
        """End the connections that nobody uses, as a service does: now with FIN, now with RST."""
        reset = False
        while True:
            await asyncio.sleep(0.2)
            self.simulator.close_idle_connections(reset=reset)
            reset = not reset

    async def peace(self) -> None:
        """From here on nothing goes wrong; the effects that were promised have come when this returns."""
        self.schedule.peaceful = True
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        while self._acting:  # noqa: ASYNC110 (it takes a few milliseconds)
            await asyncio.sleep(0.01)
        await self.simulator.wait_for_late_effects()

    async def end(self) -> dict[int, Seen]:
        """What was seen of each call of the batch; the next one begins with nothing."""
        turns = self.schedule.turns
        for effect in self.simulator.effects_log:
            turn = turns[self._subject_of(effect)]
            ours = effect.connection != SOMEBODY_ELSE
            if effect.operation == turn.title:
                turn.seen.effects.append((effect.at, ours))
            else:
                assert not ours, f"this client never asked for {effect}"
                turn.seen.foreign += 1
        seen = {customer_id: turn.seen for customer_id, turn in turns.items()}
        self.simulator._store._customers.clear()
        turns.clear()
        self.simulator.clear_records()
        return seen

    def _subject_of(self, effect: Effect) -> int:
        if effect.operation != CREATE.title:
            return effect.customer_id
        reference: str = self.simulator.customer(effect.customer_id)["reference"]
        return int(reference.removeprefix("call-")) + 1

    async def faults(self) -> Counter[str]:
        """How often each kind of fault struck."""
        return self.schedule.counts

    async def aclose(self) -> None:
        """Stop."""
        await self.peace()
        await self.simulator.aclose()

    def _act(self, customer_id: int, other: Other) -> None:
        """Let somebody else act, a little later."""
        self._acting += 1
        self.schedule.counts["somebody else"] += 1

        def act() -> None:
            self._acting -= 1
            asked = build_request(other.operation, customer_id, **arguments_of(other.operation.title))
            target = "/v1" + asked.target
            request = Request(
                asked.method, target, target.partition("?")[0], Headers([]), asked.body or b"", SOMEBODY_ELSE
            )
            identify(request)
            self.simulator.service.answer(request)

        asyncio.get_running_loop().call_later(other.after, act)


class RemoteService:
    """A `CampaignService` in a process of its own."""

    def __init__(self, seed: int, mix_name: str) -> None:
        self._arguments = (str(seed), mix_name)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start it; the address."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            # Not -m: what it sends back must be of this module, not of `__main__`.
            "from tests.campaign import sockets_service; sockets_service.main()",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=_ROOT,
        )
        address: str = await self._ask("start")
        return address

    async def begin(self, first: int, count: int) -> None:
        """See `CampaignService`."""
        await self._ask("begin", first, count)

    async def peace(self) -> None:
        """See `CampaignService`."""
        await self._ask("peace")

    async def end(self) -> dict[int, Seen]:
        """See `CampaignService`."""
        seen: dict[int, Seen] = await self._ask("end")
        return seen

    async def faults(self) -> Counter[str]:
        """See `CampaignService`."""
        counts: Counter[str] = await self._ask("faults")
        return counts

    async def aclose(self) -> None:
        """Stop the process."""
        await self._ask("aclose")
        assert self._process is not None
        await self._process.wait()
        # The pipe's transport closes itself one turn of the loop after the process has gone.
        await asyncio.sleep(0)

    async def _ask(self, name: str, *arguments: Any) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        _write(process.stdin.write, (name, arguments))
        size = int.from_bytes(await process.stdout.readexactly(8), "big")
        return pickle.loads(await process.stdout.readexactly(size))  # noqa: S301 (our own process)


def _write(write: Callable[[bytes], Any], what: Any) -> None:
    data = pickle.dumps(what)
    write(len(data).to_bytes(8, "big") + data)


async def _serve(seed: int, mix: Mix) -> None:
    """Obey what comes on standard input, until the end."""
    service = CampaignService(seed, mix)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    name = ""
    while name != "aclose":
        try:
            size = int.from_bytes(await reader.readexactly(8), "big")
        except asyncio.IncompleteReadError:
            break
        name, arguments = pickle.loads(await reader.readexactly(size))  # noqa: S301 (our own process)
        command: Callable[..., Awaitable[Any]] = getattr(service, name)
        _write(sys.stdout.buffer.write, await command(*arguments))
        sys.stdout.buffer.flush()
    transport.close()


def main() -> None:
    """Serve a campaign; seed and mix are the arguments."""
    asyncio.run(_serve(int(sys.argv[1]), MIXES[sys.argv[2]]))
