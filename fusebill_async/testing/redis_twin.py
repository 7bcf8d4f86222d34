"""A Redis in memory that knows the commands and scripts of `RedisStore`, and what can befall a server and a network.

Each script is written once more in Python here. Random sequences of commands prove that both do the same.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias, cast

import attrs

from fusebill_async.stores.redis_commands import Command
from fusebill_async.stores.redis_locks import GIVE_BACK, RENEW, TAKE
from fusebill_async.stores.redis_quota import SCRIPT as QUOTA
from fusebill_async.stores.redis_store import KEEP, RECORD, RECORD_WITH_KEY

Value: TypeAlias = "bytes | dict[bytes, bytes]"
Fault: TypeAlias = Literal["refused", "request lost", "request late", "answer lost"]

_REMEMBERED = 60.0
"""Seconds of writes that a restart may lose."""


class ResponseError(Exception):
    """The name that redis-py has for an answer that is an error."""


class TwinError(ResponseError):
    """What redis-py would raise for an error that Redis answers."""


@attrs.frozen
class _Entry:
    value: Value
    until: float
    """On the server's clock in seconds; infinite for ever."""


def _wall() -> float:
    return time.time()


class RedisTwin:
    """The server. It carries out what comes in one moment, as Redis does, and restarts as it is told to.

    Args:
        now: its clock, in epoch seconds.
    """

    def __init__(self, now: Callable[[], float] = _wall) -> None:
        self.now = now
        self.is_up = True
        self.settings: dict[str, dict[str, Any]] = {
            "persistence": {"aof_enabled": 1},
            "memory": {"maxmemory_policy": "noeviction"},
        }
        self._entries: dict[str, _Entry] = {}
        self._written: deque[tuple[float, str, _Entry | None]] = deque()
        """When, what, and what stood there before."""

    def driver(self) -> TwinDriver:
        """The way of one process to this server, for `RedisStore(url, driver=)`."""
        return TwinDriver(self)

    # --- what befalls it

    def stop(self) -> None:
        """Refuse every connection from now on."""
        self.is_up = False

    def start(self, *, lost: float = 0.0) -> None:
        """Run again.

        Args:
            lost: the writes of so many seconds before are gone, as with `appendfsync everysec`; `math.inf` for all,
                as without a file.
        """
        self.is_up = True
        if lost == math.inf:
            self._entries.clear()
            self._written.clear()
        since = self.now() - lost
        while self._written and self._written[-1][0] > since:
            _, key, before = self._written.pop()
            if before is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = before

    # --- what it holds

    def dump(self) -> dict[str, tuple[Value, float | None]]:
        """Every key with its value, and the seconds that it has left."""
        found: dict[str, tuple[Value, float | None]] = {}
        for key in list(self._entries):
            entry = self._find(key)
            if entry is not None:
                left = None if entry.until == math.inf else entry.until - self.now()
                found[key] = entry.value, left
        return found

    def _find(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and self.now() > entry.until:
            del self._entries[key]
            return None
        return entry

    def _put(self, key: str, entry: _Entry | None) -> None:
        now = self.now()
        while self._written and self._written[0][0] < now - _REMEMBERED:
            self._written.popleft()
        self._written.append((now, key, self._find(key)))
        if entry is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = entry

    def _text(self, key: str) -> bytes | None:
        entry = self._find(key)
        if entry is None:
            return None
        if isinstance(entry.value, dict):
            raise _wrong_type()
        return entry.value

    def _fields(self, key: str) -> dict[bytes, bytes]:
        entry = self._find(key)
        if entry is None:
            return {}
        if not isinstance(entry.value, dict):
            raise _wrong_type()
        return entry.value

    # --- its commands

    def ping(self) -> bool:
        """Do nothing."""
        return True

    def info(self, section: str) -> dict[str, Any]:
        """Return what Redis says of itself."""
        return self.settings.get(section, {})

    def get(self, key: str) -> bytes | None:
        """Return a text."""
        return self._text(key)

    def set(self, key: str, value: Any, *, milliseconds: float = math.inf) -> bool:
        """Write a text that lasts for so many milliseconds."""
        self._put(key, _Entry(_bytes(value), self.now() + milliseconds / 1000))
        return True

    def delete(self, key: str) -> int:
        """Forget a key; how many were there."""
        there = self._find(key) is not None
        if there:
            self._put(key, None)
        return int(there)

    def incr(self, key: str) -> int:
        """Count up; what stands there now."""
        number = int(self._text(key) or b"0") + 1
        entry = self._find(key)
        self._put(key, _Entry(_bytes(number), math.inf if entry is None else entry.until))
        return number

    def expire(self, key: str, milliseconds: float) -> int:
        """Let a key last for so many milliseconds from now; whether it is there."""
        entry = self._find(key)
        if entry is None:
            return 0
        self._put(key, _Entry(entry.value, self.now() + milliseconds / 1000))
        return 1

    def hset(self, key: str, fields: Mapping[Any, Any]) -> int:
        """Write fields of a hash; how many are new."""
        known = self._fields(key)
        told = {_bytes(name): _bytes(value) for name, value in fields.items()}
        entry = self._find(key)
        self._put(key, _Entry(known | told, math.inf if entry is None else entry.until))
        return len(told.keys() - known.keys())

    def hdel(self, key: str, name: Any) -> int:
        """Forget a field of a hash; how many were there."""
        known = self._fields(key)
        if _bytes(name) not in known:
            return 0
        left = {other: value for other, value in known.items() if other != _bytes(name)}
        entry = self._find(key)
        assert entry is not None
        self._put(key, _Entry(left, entry.until) if left else None)
        return 1

    def hget(self, key: str, name: Any) -> bytes | None:
        """Return a field of a hash."""
        return self._fields(key).get(_bytes(name))

    def hvals(self, key: str) -> list[bytes]:
        """Return the values of a hash."""
        return list(self._fields(key).values())

    def eval(self, script: str, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Run one of our scripts."""
        return _SCRIPTS[script](self, keys, arguments)


def _wrong_type() -> TwinError:
    return TwinError("WRONGTYPE Operation against a key holding the wrong kind of value")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


# --- our scripts


def _take(server: RedisTwin, keys: Sequence[str], arguments: Sequence[str]) -> list[Any]:
    lease, turn, newest = keys
    owner, milliseconds, impatient = arguments
    me = _bytes(owner)
    holder, first = server.get(lease), server.get(turn)
    reserved = first is not None and first != me
    if (holder is None and not reserved) or holder == me:
        server.set(lease, me, milliseconds=int(milliseconds))
        if first == me:
            server.delete(turn)
        return [1, server.get(newest) or b""]
    if impatient == "1" and not reserved:
        server.set(turn, me, milliseconds=500)
    return [0, b""]


def _give_back(server: RedisTwin, keys: Sequence[str], arguments: Sequence[str]) -> int:
    lease, turn, newest = keys
    owner, seen, milliseconds = arguments
    if server.get(lease) == _bytes(owner):
        server.delete(lease)
        if seen:
            server.set(newest, seen, milliseconds=int(milliseconds))
    if server.get(turn) == _bytes(owner):
        server.delete(turn)
    return 1


def _renew(server: RedisTwin, keys: Sequence[str], arguments: Sequence[str]) -> list[int]:
    owner, milliseconds = arguments
    return [server.expire(key, int(milliseconds)) if server.get(key) == _bytes(owner) else 0 for key in keys]


def _record(server: RedisTwin, keys: Sequence[str], arguments: Sequence[str]) -> int:
    intents, count = keys
    intent_id, record, seconds = arguments
    server.hset(intents, {intent_id: record})
    number = server.incr(count)
    server.expire(count, int(seconds) * 1000)
    return number


def _record_with_key(server: RedisTwin, keys: Sequence[str], arguments: Sequence[str]) -> int:
    intents, count, own = keys
    intent_id, record, seconds, kept, replaces = arguments
    holder = server.hget(own, "intent")
    if holder is not None and holder not in {_bytes(intent_id), _bytes(replaces)}:
        return -1
    server.delete(own)
    server.hset(own, {"intent": intent_id, "record": kept, "open": "1"})
    return _record(server, (intents, count), (intent_id, record, seconds))


def _keep(server: RedisTwin, keys: Sequence[str], arguments: Sequence[str]) -> int:
    intents, own = keys
    intent_id, kept, milliseconds = arguments
    server.hdel(intents, intent_id)
    if server.hget(own, "intent") == _bytes(intent_id) and server.hdel(own, "open"):
        server.hset(own, {"record": kept})
        server.expire(own, int(milliseconds))
    return 1


def _quota(server: RedisTwin, keys: Sequence[str], arguments: Sequence[str]) -> bytes:
    now = math.floor(server.now() * 1e6) / 1e6
    told: dict[str, Any] = json.loads(arguments[0])
    text = server.get(keys[0])
    state: dict[str, Any] = {"processes": {}, "pause": 0, "probe": 0}
    if text is None:
        for name in ("minute", "day"):
            state[name] = {"reset": 0, "limit": 0, "used": 0, "own": 0, "seen": 0}
    else:
        state = json.loads(text)
    minute, day, processes = state["minute"], state["day"], state["processes"]
    _merge(minute, told["minute"], told["length"], now)
    _merge(day, told["day"], 86400, now)
    elsewhere, calling = 0, 1
    for name, process in list(processes.items()):
        if now - process["at"] > max(told["length"], 5):
            del processes[name]
        elif name != told["name"]:
            elsewhere += process["held"]
            calling += now - process["at"] < 2

    def left(window: dict[str, Any], assumed: float, reserve: float) -> int:
        limit: float = window["limit"] if window["limit"] > 0 else assumed
        mine: float = max(1, told["share"] * limit) - window["own"]
        return math.floor(float(min(limit - window["used"], mine) - elsewhere - told["held"] - reserve))

    if told["pause"] > 0:
        state["pause"], state["probe"] = max(state["pause"], now + told["pause"]), 0
    granted = 0
    if state["pause"] <= now:
        of_day = left(day, told["per_day"], told["day_reserve"])
        granted = max(0, min(told["want"], left(minute, told["per_minute"], 0), of_day))
        if granted == 0 and told["probe"] and now >= state["probe"]:
            granted, state["probe"] = told["want"], now + min(10, told["length"] / 4)
    processes[told["name"]] = {"held": told["held"] + granted, "at": now}
    server.set(keys[0], _json(state), milliseconds=172_800_000)
    minute["age"], day["age"] = now - minute["seen"], now - day["seen"]
    pause = max(0, state["pause"] - now)
    answer = {"granted": granted, "elsewhere": elsewhere, "processes": calling, "pause": pause}
    return _json({**answer, "minute": minute, "day": day})


def _merge(window: dict[str, Any], told: dict[str, Any], length: float, now: float) -> None:
    if told["reset"] == 0 and window["reset"] != 0:
        return
    over = now - window["seen"] > length
    apart = told["reset"] - window["reset"]
    if apart > 1 or (over and (apart < -1 or told["reset"] == 0)):
        window.update(reset=told["reset"], seen=now, used=0, own=0)
    elif apart < -1:
        return
    if told["limit"] > 0:
        window["limit"] = told["limit"]
    window["own"] += told["own"]
    window["used"] = max(window["used"], told["used"], window["own"])


def _json(value: Any) -> bytes:
    """As Lua writes it: 14 digits of a number."""
    return json.dumps(_rounded(value)).encode()


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {key: _rounded(inner) for key, inner in fields.items()}
    return float(f"{value:.14g}") if isinstance(value, float) else value


_SCRIPTS: dict[str, Callable[[RedisTwin, Sequence[str], Sequence[str]], Any]] = {
    TAKE: _take,
    GIVE_BACK: _give_back,
    RENEW: _renew,
    RECORD: _record,
    RECORD_WITH_KEY: _record_with_key,
    KEEP: _keep,
    QUOTA: _quota,
}


# --- the way to it


class TwinDriver:
    """The way of one process to the server: what `RedisPy` is to a real one.

    Attributes:
        fault: what happens to what is sent: None nothing; "refused", the server cannot be reached; "request lost" and
            "answer lost", it is silent, and has carried out what came only in the second case; "request late", it
            is silent, and carries out what came when the fault is mended.
        delay: seconds that a request takes, and an answer.
    """

    def __init__(self, server: RedisTwin) -> None:
        self._server = server
        self._late: list[Sequence[_Asked]] = []
        self.fault: Fault | None = None
        self.delay = 0.0

    def mend(self) -> None:
        """End a fault. What is late arrives now."""
        self.fault = None
        late, self._late = self._late, []
        for commands in late:
            self._carry_out(commands)

    def connect(self) -> TwinClient:
        """Give a client for the event loop."""
        return TwinClient(self)

    def ask_now(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answers to commands that are carried out as one."""
        pipeline = TwinPipeline(self)
        for command in commands:
            command(pipeline)
        if self.fault is not None or not self._server.is_up:
            raise ConnectionError("no way to Redis")
        return _without_errors(self._carry_out(pipeline.asked))

    async def exchange(self, commands: Sequence[_Asked]) -> list[Any]:
        """Send commands together, and return their answers; what Redis answers as an error stands among them."""
        await asyncio.sleep(self.delay)
        if self.fault == "refused" or not self._server.is_up:
            raise ConnectionError("no way to Redis")
        if self.fault == "request late":
            self._late.append(commands)
        answers = [] if self.fault in {"request lost", "request late"} else self._carry_out(commands)
        if self.fault is not None:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.delay)
        return answers

    def _carry_out(self, commands: Sequence[_Asked]) -> list[Any]:
        return [asked(self._server) for asked in commands]


@attrs.frozen
class _Asked:
    name: str
    arguments: tuple[Any, ...]

    def __call__(self, server: RedisTwin) -> Any:
        try:
            return getattr(server, self.name)(*self.arguments)
        except TwinError as error:
            return error


def _without_errors(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


class TwinPipeline:
    """Commands gathered as by a pipeline of redis-py."""

    def __init__(self, driver: TwinDriver) -> None:
        self._driver = driver
        self.asked: list[_Asked] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        self.asked = []

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 (as redis-py has it)
        """Send them."""
        asked, self.asked = self.asked, []
        answers = await self._driver.exchange(asked)
        return _without_errors(answers) if raise_on_error else answers

    def ping(self) -> None:
        """Add a command."""
        self._add("ping")

    def get(self, key: str) -> None:
        """Add a command."""
        self._add("get", key)

    def delete(self, key: str) -> None:
        """Add a command."""
        self._add("delete", key)

    def hset(self, key: str, *, mapping: Mapping[Any, Any]) -> None:
        """Add a command."""
        self._add("hset", key, mapping)

    def hdel(self, key: str, name: Any) -> None:
        """Add a command."""
        self._add("hdel", key, name)

    def hget(self, key: str, name: Any) -> None:
        """Add a command."""
        self._add("hget", key, name)

    def hvals(self, key: str) -> None:
        """Add a command."""
        self._add("hvals", key)

    def eval(self, script: str, numkeys: int, *keys_and_arguments: Any) -> None:
        """Add one of our scripts."""
        keys = tuple(keys_and_arguments[:numkeys])
        arguments = tuple(_bytes(value).decode() for value in keys_and_arguments[numkeys:])
        self._add("eval", script, keys, arguments)

    def _add(self, name: str, *arguments: Any) -> None:
        self.asked.append(_Asked(name, arguments))


class TwinClient:
    """What of `redis.asyncio.Redis` the store uses."""

    def __init__(self, driver: TwinDriver) -> None:
        self._driver = driver

    def pipeline(self, transaction: bool = True) -> TwinPipeline:  # noqa: ARG002, FBT001, FBT002 (as redis-py has it)
        """Gather commands."""
        return TwinPipeline(self._driver)

    async def info(self, section: str) -> dict[str, Any]:
        """Return what the server says of itself."""
        [told] = _without_errors(await self._driver.exchange([_Asked("info", (section,))]))
        answer: dict[str, Any] = told
        return answer

    def register_script(self, script: str) -> Callable[..., Any]:
        """Return a coroutine function that runs one of our scripts."""

        async def run(*, keys: Sequence[str], args: Sequence[str]) -> Any:
            [answer] = _without_errors(await self._driver.exchange([_Asked("eval", (script, keys, args))]))
            return answer

        return run

    async def aclose(self) -> None:
        """There is nothing to close."""
