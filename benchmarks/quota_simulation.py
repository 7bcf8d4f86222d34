"""How fully the quota is used, and how often it is exceeded.

    python benchmarks/quota_simulation.py                # the scenarios on a virtual clock
    python benchmarks/quota_simulation.py --svg use.svg  # and draw each window
    python benchmarks/quota_simulation.py --sockets      # 300 calls per 3 s over real sockets, 60 s
    python benchmarks/quota_simulation.py --redis        # the same, 4 processes on one Redis

The oracle is what the service counted, never what the client believes. "Left" is what the other program
leaves: the limit less what it asks for. The virtual clock drives the same `Admission` that a client uses.
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
from pathlib import Path
from typing import Any

import aiohttp

from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.priority import Priority
from fusebill_async.session.admission import Admission, QueueTimeout
from fusebill_async.session.effects import Effects
from fusebill_async.settings import QuotaPolicy
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
    def others_wanted(self) -> int:
        """What the other program asked for."""
        return self.others + self.others_refused

    @property
    def left(self) -> int:
        """What it leaves."""
        return max(1, self.limit - self.others_wanted)


@dataclass
class Service:
    """A service that counts calls in fixed windows of its own clock, shared with another program."""

    limit: int = 1000
    day_limit: int = 10**9
    length: float = 60.0
    others: tuple[float, float] = (0.0, 0.0)
    poisson: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    day_length: float = 86_400.0
    day_offset: float = 0.0
    reset_format: str = "iso"
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
            "Date": format_datetime(datetime.fromtimestamp(int(now), UTC), usegmt=True),
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
    """What became of one scenario."""

    name: str
    service: Service
    calls: int
    refused: int
    done: int
    seconds: float
    bar: tuple[float, float]
    parked: float = 0.0

    @property
    def full(self) -> list[WindowCount]:
        """The windows that the job had from end to end, without those in which a day was used up."""
        counted = [w for _, w in sorted(self.service.windows.items())]
        inner = zip(counted, counted[1:], counted[2:], strict=False)
        if self.parked:
            return [w for before, w, after in inner if before.ours and w.ours and after.ours]
        return counted[1:-1]

    @property
    def utilisation(self) -> float:
        """The used part of what was left, over all full windows."""
        return sum(w.ours for w in self.full) / max(1, sum(w.left for w in self.full))

    @property
    def worst(self) -> float:
        """The same for the worst window."""
        return min((w.ours / w.left for w in self.full), default=0.0)

    @property
    def refusals(self) -> float:
        """The refused part of our calls."""
        return self.refused / max(1, self.calls + self.refused)

    @property
    def met(self) -> bool:
        """Whether the bars were met and nothing was lost."""
        return self.utilisation >= self.bar[0] and self.refusals <= self.bar[1] and self.done == self.calls


async def job(
    service: Service,
    calls: int,
    *,
    policy: QuotaPolicy | None = None,
    places: int = 200,
    latency: tuple[float, float] = (0.1, 3.0),
    counted: tuple[float, float] = (0.0, 1.0),
    seed: int = 7,
) -> tuple[int, int]:
    """A bulk job on the running loop's virtual clock: calls done, and refusals met on the way.

    `counted` is the part of its latency after which a call is counted.
    """
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)
    shift = EPOCH - loop.time()
    effects = Effects(now=loop.time, sleep=asyncio.sleep, random=chance.random)
    admission = Admission(places=places, policy=policy or QuotaPolicy(), effects=effects, clock=ServiceClock())
    left = calls
    done = refused = 0

    async def worker() -> None:
        nonlocal left, done, refused
        while left > 0:
            left -= 1
            while True:
                permit = await admission.enter(Priority.BULK)
                sent_at = loop.time()
                admission.sent(permit)
                takes = chance.uniform(*latency)
                before = takes * chance.uniform(*counted)
                await asyncio.sleep(before)
                status, headers = service.count(loop.time() + shift)
                await asyncio.sleep(takes - before)
                admission.answered(permit, status, headers, sent_at, loop.time())
                admission.leave(permit)
                if status == 200:
                    done += 1
                    break
                refused += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(places):
            group.create_task(worker())
    return done, refused


def simulate(name: str, service: Service, calls: int, bar: tuple[float, float], **options: Any) -> Result:
    """One scenario on a virtual clock."""
    before = time.perf_counter()
    parked = service.day_length if service.day_limit < calls else 0.0
    done, refused = run_virtual(job(service, calls, **options))
    return Result(name, service, calls, refused, done, time.perf_counter() - before, bar, parked)


def scenarios(calls: int) -> list[Result]:
    """The scenarios of the bars, and some that are harder."""
    day = 40_000 * calls // 100_000
    return [
        simulate("alone", Service(), calls, (0.98, 0.0)),
        simulate("day boundary", Service(day_limit=day), calls, (0.98, 0.0)),
        simulate("another program, 0-60 %", Service(others=(0.0, 0.6)), calls, (0.95, 0.001)),
        simulate("another, counted early", Service(others=(0.0, 0.6)), calls, (0.95, 0.001), counted=(0.05, 0.1)),
        simulate("another, counted late", Service(others=(0.0, 0.6)), calls, (0.95, 0.001), counted=(0.9, 0.95)),
        simulate("another, at random", Service(others=(0.0, 0.6), poisson=True), calls, (0.95, 0.001)),
    ]


def draw(result: Result) -> str:
    """Utilisation of each window, as a line of blocks."""
    blocks = " ▁▂▃▄▅▆▇█"
    marks = "".join(blocks[min(8, int(8 * w.ours / w.left + 0.2))] for w in result.full)
    lines = [marks[i : i + 100] for i in range(0, min(len(marks), 400), 100)]
    return "\n".join("    " + line for line in lines)


def table(results: list[Result]) -> str:
    """One line for each scenario."""
    head = ("scenario", "calls", "used", "worst", "bar", "refused", "part", "bar")
    lines = ["{:<28}{:>8}{:>8}{:>8}{:>7}{:>9}{:>9}{:>8} met".format(*head)]
    lines += [
        f"{r.name:<28}{r.done:>8}{r.utilisation:>8.2%}{r.worst:>8.1%}{r.bar[0]:>7.0%}{r.refused:>9}"
        f"{r.refusals:>9.3%}{r.bar[1]:>8.1%} {'yes' if r.met else 'NO'}   ({r.seconds:.0f} s)"
        for r in results
    ]
    return "\n".join(lines)


def svg(results: list[Result]) -> str:
    """All scenarios as bars, one for each window: ours, the other program's, refused."""
    parts: list[str] = []
    top = 0
    for result in results:
        parts.append(f'<text x="4" y="{top + 14}">{result.name}: {result.utilisation:.1%}</text>')
        for i, window in enumerate(result.full[:240]):
            ours, others = 60 * window.ours / window.limit, 60 * window.others / window.limit
            x = 4 + 5 * i
            base = top + 84
            parts.append(f'<rect x="{x}" y="{base - others:.1f}" width="4" height="{others:.1f}" fill="#bbb"/>')
            y = base - others - ours
            parts.append(f'<rect x="{x}" y="{y:.1f}" width="4" height="{ours:.1f}" fill="#27c"/>')
            if window.refused:
                parts.append(f'<rect x="{x}" y="{base + 2}" width="4" height="4" fill="#c22"/>')
        top += 100
    style = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="1220" height="{top}" {style}>'
    return "\n".join([head, *parts, "</svg>"])


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
        while effects.now() < end:
            try:
                permit = await admission.enter(Priority.BULK, until=end)
            except QueueTimeout:
                return
            sent_at = effects.now()
            admission.sent(permit)
            async with session.get(f"{url}/{name}") as answer:
                received_at = effects.now()
                admission.answered(permit, answer.status, answer.headers, sent_at, received_at)
                await answer.read()
            admission.leave(permit)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=40)) as session:
        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(worker(session))
        await admission.aclose()
    if redis is not None:
        await redis.aclose()


async def over_sockets(seconds: float, others: float = 0.0) -> Result:
    """300 calls per 3 s, one process."""
    service = Service(limit=300, length=3.0, others=(0.0, others))
    socket = Socket(service)
    server = await asyncio.start_server(socket.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    started = time.perf_counter()
    await call_for(seconds, f"http://127.0.0.1:{port}", "one", None, 1)
    server.close()
    return _counted("one process over sockets", service, time.perf_counter() - started, (0.95, 0.0))


async def over_redis(seconds: float, others: float = 0.0) -> Result:
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
    service = Service(limit=300, length=3.0, others=(0.0, others))
    socket = Socket(service)
    server = await asyncio.start_server(socket.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def start(name: str, lasts: float) -> asyncio.subprocess.Process:
        arguments = ("--worker", name, "--seconds", str(lasts), "--url", url, "--redis-url", redis_url)
        return await asyncio.create_subprocess_exec(sys.executable, __file__, *arguments)

    started = time.perf_counter()
    processes = [await start(f"p{number}", seconds) for number in range(4)]
    await asyncio.sleep(seconds / 3)
    processes[0].kill()
    await asyncio.sleep(seconds / 3)
    processes.append(await start("p4", seconds / 3))
    for process in processes:
        await process.wait()
    server.close()
    print("calls by process:", dict(sorted(socket.by_client.items())))
    return _counted("4 processes on one Redis", service, time.perf_counter() - started, (0.93, 0.001))


def _counted(name: str, service: Service, seconds: float, bar: tuple[float, float]) -> Result:
    calls = sum(window.ours for window in service.windows.values())
    refused = sum(window.refused for window in service.windows.values())
    return Result(name, service, calls, refused, calls, seconds, bar)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="calls in each virtual scenario")
    parser.add_argument("--svg", type=Path, help="draw the windows into this file")
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
    for result in results:
        print(f"\n{result.name}: one block for each window")
        print(draw(result))
    if options.svg:
        options.svg.write_text(svg(results), encoding="utf-8")
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
