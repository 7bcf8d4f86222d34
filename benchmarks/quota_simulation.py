"""How fully the quota is used, and how often it is exceeded.

    python benchmarks/quota_simulation.py                # the scenarios on a virtual clock
    python benchmarks/quota_simulation.py --sockets      # 300 calls per 3 s over real sockets, 60 s
    python benchmarks/quota_simulation.py --redis        # the same, 4 processes on one Redis

The oracle is what the service counted, never what the client believes. "Left" is what the other program leaves:
the limit less what it asks for. The virtual clock drives the same `Admission` that a client uses.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import selectors
import socket as socket_module
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import aiohttp

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.session.admission import Admission, QueueTimeout
from fusebill_async.session.effects import Effects
from fusebill_async.settings import Priority, QuotaPolicy
from fusebill_async.stores.redis_quota import RedisQuota

EPOCH = datetime(2026, 11, 21, 12, 0, 17, 300_000, tzinfo=UTC).timestamp()


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Never sleeps: moves the loop's clock instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.loop.clock += timeout
        elif not ready and timeout is None:
            raise RuntimeError("everybody waits, and nothing is due: a deadlock")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time."""

    def __init__(self, start: float = 1000.0) -> None:
        self.clock = start
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Seconds on the virtual clock."""
        return self.clock


def run_virtual(main: Any) -> Any:
    """Run a coroutine on a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@dataclass
class WindowCount:
    """What the service counted in one window."""

    limit: int
    others_rate: float = 0.0
    ours: int = 0
    refused: int = 0
    others: int = 0
    others_refused: int = 0

    @property
    def left(self) -> int:
        """What the other program leaves."""
        return max(1, self.limit - self.others - self.others_refused)


@dataclass
class Service:
    """A service that counts calls in fixed windows of its limiter's clock, shared with another program.

    `date_skew` is how many seconds the clock of its `Date` header is ahead of the limiter's.
    """

    limit: int = 1000
    day_limit: int = 10**9
    length: float = 60.0
    others: tuple[float, float] = (0.0, 0.0)
    poisson: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    day_length: float = 86_400.0
    day_offset: float = 0.0
    reset_format: str = "iso"
    date_skew: float = 0.0
    windows: dict[int, WindowCount] = field(default_factory=dict)
    days: dict[int, int] = field(default_factory=dict)
    _next_other: float = -1.0
    _number: int = -1

    def _window(self, now: float) -> WindowCount:
        number = int(now // self.length)
        while self._number < number:
            if self._number >= 0:
                self._others_until((self._number + 1) * self.length)
            self._number = number if self._number < 0 else self._number + 1
            rate = self.chance.uniform(*self.others) * self.limit / self.length
            self.windows[self._number] = WindowCount(self.limit, rate)
            start = self._number * self.length
            self._next_other = start + (self.chance.random() / rate if rate else float("inf"))
        self._others_until(now)
        return self.windows[number]

    def _others_until(self, now: float) -> None:
        window = self.windows[self._number]
        end = min(now, (self._number + 1) * self.length)
        while self._next_other < end:
            if window.ours + window.others < window.limit:
                window.others += 1
                day = self._day(self._next_other)
                self.days[day] = self.days.get(day, 0) + 1
            else:
                window.others_refused += 1
            gap = 1 / window.others_rate
            self._next_other += self.chance.expovariate(1 / gap) if self.poisson else gap

    def _day(self, now: float) -> int:
        return int((now - self.day_offset) // self.day_length)

    def count(self, now: float) -> tuple[int, dict[str, str]]:
        """One of our calls arrives at `now`, in seconds since 1970: its status and headers."""
        window = self._window(now)
        day = self._day(now)
        used_day = self.days.get(day, 0)
        if window.ours + window.others >= window.limit or used_day >= self.day_limit:
            window.refused += 1
            status = 429
        else:
            window.ours += 1
            self.days[day] = used_day = used_day + 1
            status = 200
        return status, {
            "Date": format_datetime(datetime.fromtimestamp(int(now + self.date_skew), UTC), usegmt=True),
            "X-Rate-Limit-Limit-Minute": str(self.limit),
            "X-Rate-Limit-Remaining-Minute": str(self.limit - window.ours - window.others),
            "X-Rate-Limit-Reset-Minute": self._stamp((self._number + 1) * self.length),
            "X-Rate-Limit-Limit-Day": str(self.day_limit),
            "X-Rate-Limit-Remaining-Day": str(self.day_limit - used_day),
            "X-Rate-Limit-Reset-Day": self._stamp((day + 1) * self.day_length + self.day_offset),
        }

    def _stamp(self, epoch: float) -> str:
        if self.reset_format == "epoch":
            return f"{epoch:.0f}"
        return datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Result:
    """What became of one scenario. `bar` is the least utilisation and the largest part that may be refused."""

    name: str
    service: Service
    calls: int
    done: int
    bar: tuple[float, float]

    @property
    def full(self) -> list[WindowCount]:
        """The windows that the job had from end to end, without those in which a day was used up."""
        counted = [w for _, w in sorted(self.service.windows.items())]
        if self.service.day_limit < self.calls:
            inner = zip(counted, counted[1:], counted[2:], strict=False)
            return [w for before, w, after in inner if before.ours and w.ours and after.ours]
        return counted[1:-1]

    @property
    def utilisation(self) -> float:
        """The used part of what was left, over all full windows."""
        return sum(w.ours for w in self.full) / max(1, sum(w.left for w in self.full))

    @property
    def refused(self) -> int:
        """How many of our calls were refused."""
        return sum(w.refused for w in self.service.windows.values())

    @property
    def refused_later(self) -> int:
        """The same after the first three windows."""
        return sum(w.refused for _, w in sorted(self.service.windows.items())[3:])

    @property
    def refusals(self) -> float:
        """The refused part of our calls."""
        return self.refused / max(1, self.done + self.refused)

    @property
    def met(self) -> bool:
        """Whether the bars were met and nothing was lost."""
        few = self.refused_later <= 1 if self.service.date_skew else self.refusals <= self.bar[1]
        return self.utilisation >= self.bar[0] and few and self.done == self.calls


async def job(
    service: Service,
    calls: int,
    *,
    policy: QuotaPolicy | None = None,
    places: int = 200,
    latency: tuple[float, float] = (0.1, 3.0),
    counted: tuple[float, float] = (0.0, 1.0),
    seed: int = 7,
) -> int:
    """A bulk job on the running loop's virtual clock; gives the calls done.

    `counted` is the part of its latency after which a call is counted.
    """
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)
    shift = EPOCH - loop.time()
    effects = Effects(now=loop.time, sleep=asyncio.sleep, random=chance.random)
    admission = Admission(places=places, policy=policy or QuotaPolicy(), effects=effects, clock=ServiceClock())
    left = calls
    done = 0

    async def worker() -> None:
        nonlocal left, done
        while left > 0:
            left -= 1
            status = 0
            while status != 200:
                with await admission.enter(Priority.BULK) as permit:
                    sent_at = loop.time()
                    permit.sent()
                    takes = chance.uniform(*latency)
                    before = takes * chance.uniform(*counted)
                    await asyncio.sleep(before)
                    status, headers = service.count(loop.time() + shift)
                    await asyncio.sleep(takes - before)
                    permit.answered(status, headers, sent_at, loop.time())
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(places):
            group.create_task(worker())
    return done


def simulate(name: str, service: Service, calls: int, bar: tuple[float, float], **options: Any) -> Result:
    """One scenario on a virtual clock."""
    return Result(name, service, calls, run_virtual(job(service, calls, **options)), bar)


def scenarios(calls: int) -> list[Result]:
    """The scenarios of the bars, and some that are harder."""
    beside = {"bar": (0.95, 0.01), "calls": calls}
    return [
        simulate("alone", Service(), calls, (0.98, 0.0)),
        simulate("day boundary", Service(day_limit=40_000 * calls // 100_000), calls, (0.98, 0.0)),
        simulate("another program, 0-60 %", Service(others=(0.0, 0.6)), **beside),
        simulate("another, counted early", Service(others=(0.0, 0.6)), counted=(0.05, 0.1), **beside),
        simulate("another, counted late", Service(others=(0.0, 0.6)), counted=(0.9, 0.95), **beside),
        simulate("another, at random", Service(others=(0.0, 0.6), poisson=True), **beside),
        simulate("Date 4 s ahead", Service(date_skew=4.0), calls, (0.95, 0.0)),
        simulate("Date 4 s behind", Service(date_skew=-4.0), calls, (0.95, 0.0)),
    ]


def table(results: list[Result]) -> str:
    """One line for each scenario."""
    lines = ["scenario                       calls    used   least  refused    part   bar  later  met"]
    lines += [
        f"{r.name:<28}{r.done:>8}{r.utilisation:>8.2%}{r.bar[0]:>8.0%}{r.refused:>9}{r.refusals:>8.3%}"
        f"{r.bar[1]:>6.1%}{r.refused_later:>7}  {'yes' if r.met else 'NO'}"
        for r in results
    ]
    return "\n".join(lines)


class Socket:
    """The same service behind a real socket. An answer takes 5 to 50 ms; the call is counted within them."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.by_client: dict[str, int] = {}
        self._chance = random.Random(5)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                takes = self._chance.uniform(0.005, 0.05)
                before = takes * self._chance.random()
                await asyncio.sleep(before)
                status, headers = self.service.count(time.time())
                if status == 200:
                    client = request.split(b" ", 2)[1].decode()
                    self.by_client[client] = self.by_client.get(client, 0) + 1
                await asyncio.sleep(takes - before)
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"HTTP/1.1 {status} OK\r\n{lines}Content-Length: 2\r\n\r\n{{}}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def call_for(seconds: float, url: str, name: str, redis_url: str | None, workers: int) -> None:
    """One process that calls as much as it may for so many seconds."""
    effects = Effects()
    policy = QuotaPolicy(workers=workers)
    shared = redis = None
    if redis_url is not None:
        from redis.asyncio import Redis  # noqa: PLC0415 - most scenarios need no Redis

        redis = Redis.from_url(redis_url)
        shared = RedisQuota(redis, "MDpzZWNyZXQ=", policy)
    admission = Admission(places=40, policy=policy, effects=effects, clock=ServiceClock(), shared=shared)
    end = effects.now() + seconds

    async def worker(session: aiohttp.ClientSession) -> None:
        with suppress(QueueTimeout):
            while effects.now() < end:
                with await admission.enter(Priority.BULK, until=end) as permit:
                    sent_at = effects.now()
                    permit.sent()
                    async with session.get(f"{url}/{name}") as answer:
                        permit.answered(answer.status, answer.headers, sent_at, effects.now())
                        await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=40)) as session:
        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(worker(session))
        await admission.aclose()
    if redis is not None:
        await redis.aclose()


async def over_sockets(seconds: float, others: float) -> Result:
    """300 calls per 3 s, one process."""
    socket = Socket(Service(limit=300, length=3.0, others=(0.0, others)))
    server = await asyncio.start_server(socket.serve, "127.0.0.1", 0)
    await call_for(seconds, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "one", None, 1)
    server.close()
    return _counted("one process over sockets", socket.service, (0.95, 0.01 if others else 0.0))


async def over_redis(seconds: float, others: float) -> Result:
    """The same, 4 processes on one Redis; one is killed after a third, another starts at two thirds."""
    from redis.asyncio import Redis  # noqa: PLC0415 - most scenarios need no Redis
    from redis.exceptions import RedisError  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        with closing(socket_module.create_server(("127.0.0.1", 0))) as probe:
            redis_port = probe.getsockname()[1]
        arguments = ("--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", folder)
        redis = await asyncio.create_subprocess_exec("redis-server", *arguments, stdout=subprocess.DEVNULL)
        try:
            async with Redis(port=redis_port) as client:
                for _ in range(100):
                    with suppress(RedisError):
                        await client.ping()
                        break
                    await asyncio.sleep(0.05)
            return await _workers(seconds, f"redis://127.0.0.1:{redis_port}/0", others)
        finally:
            redis.terminate()
            await redis.wait()


async def _workers(seconds: float, redis_url: str, others: float) -> Result:
    socket = Socket(Service(limit=300, length=3.0, others=(0.0, others)))
    server = await asyncio.start_server(socket.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def start(name: str, lasts: float) -> asyncio.subprocess.Process:
        arguments = ("--worker", name, "--seconds", str(lasts), "--url", url, "--redis-url", redis_url)
        return await asyncio.create_subprocess_exec(sys.executable, __file__, *arguments)

    processes = [await start(f"p{number}", seconds) for number in range(4)]
    await asyncio.sleep(seconds / 3)
    processes[0].kill()
    await asyncio.sleep(seconds / 3)
    processes.append(await start("p4", seconds / 3))
    for process in processes:
        await process.wait()
    server.close()
    print("calls by process:", dict(sorted(socket.by_client.items())))
    return _counted("4 processes on one Redis", socket.service, (0.85, 0.01 if others else 0.001))


def _counted(name: str, service: Service, bar: tuple[float, float]) -> Result:
    calls = sum(window.ours for window in service.windows.values())
    return Result(name, service, calls, calls, bar)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="calls in each virtual scenario")
    parser.add_argument("--sockets", action="store_true", help="one process over real sockets")
    parser.add_argument("--redis", action="store_true", help="4 processes on one Redis")
    parser.add_argument("--others", type=float, default=0.0, help="largest part another program takes (sockets)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the sockets are used")
    for hidden in ("--worker", "--url", "--redis-url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        asyncio.run(call_for(options.seconds, options.url, options.worker, options.redis_url, 4))
        return 0
    if options.sockets:
        results = [asyncio.run(over_sockets(options.seconds, options.others))]
    elif options.redis:
        results = [asyncio.run(over_redis(options.seconds, options.others))]
    else:
        results = scenarios(options.calls)
    print(table(results))
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
