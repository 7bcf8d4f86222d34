"""The quota on Redis: one budget for all processes of an account.

Each process reckons by itself what may go now. One script then takes it, on the Redis server's clock, so that no
two processes take the same calls and their own clocks do not matter. A process tells what it holds as a total, so
an answer of Redis that gets lost, or a process that is killed, costs no more than what it held, for one window.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from hashlib import sha256
from typing import Any, Protocol, cast

import attrs

from fusebill_async.policy.shared import QuotaGrant, QuotaReport, WindowFacts
from fusebill_async.settings import QuotaPolicy

SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local a = cjson.decode(ARGV[1])
local text = redis.call('GET', KEYS[1])
local state = text and cjson.decode(text) or {
  minute = {reset = 0, limit = 0, used = 0, own = 0, seen = 0},
  day = {reset = 0, limit = 0, used = 0, own = 0, seen = 0},
  processes = {}, pause = 0, probe = 0,
}

local function merge(window, told, length)
  if told.reset == 0 and window.reset ~= 0 then return end -- it has had no answer yet
  local over = now - window.seen > length
  local apart = told.reset - window.reset
  if apart > 1 or (over and (apart < -1 or told.reset == 0)) then
    window.reset, window.seen, window.used, window.own = told.reset, now, 0, 0
  elseif apart < -1 then
    return
  end
  if told.limit > 0 then window.limit = told.limit end
  window.own = window.own + told.own
  window.used = math.max(window.used, told.used, window.own)
end
merge(state.minute, a.minute, a.length)
merge(state.day, a.day, 86400)

local elsewhere, processes = 0, 1
for name, process in pairs(state.processes) do
  if now - process.at > math.max(a.length, 5) then
    state.processes[name] = nil -- whoever holds anything tells so every second
  elseif name ~= a.name then
    elsewhere = elsewhere + process.held
    if now - process.at < 2 then processes = processes + 1 end
  end
end

local function left(window, assumed, reserve)
  local limit = window.limit > 0 and window.limit or assumed
  local mine = math.max(1, a.share * limit) - window.own
  return math.floor(math.min(limit - window.used, mine) - elsewhere - a.held - reserve)
end
if a.pause > 0 then state.pause, state.probe = math.max(state.pause, now + a.pause), 0 end
local granted = 0
if state.pause <= now then
  granted = math.min(a.want, left(state.minute, a.per_minute, 0), left(state.day, a.per_day, a.day_reserve))
  granted = math.max(0, granted)
  if granted == 0 and a.probe and now >= state.probe then
    granted, state.probe = a.want, now + math.min(10, a.length / 4)
  end
end
state.processes[a.name] = {held = a.held + granted, at = now}
redis.call('SET', KEYS[1], cjson.encode(state), 'EX', 172800)
state.minute.age, state.day.age = now - state.minute.seen, now - state.day.seen
return cjson.encode({
  granted = granted, elsewhere = elsewhere, processes = processes, minute = state.minute, day = state.day,
  pause = math.max(0, state.pause - now),
})
"""


class _Script(Protocol):
    async def __call__(self, *, keys: list[str], args: list[str]) -> bytes | str: ...


class RedisQuota:
    """The budget of one account on Redis.

    Args:
        client: a `redis.asyncio.Redis`; whoever made it closes it.
        account: names the account. It is hashed, so the API key itself may be given and never reaches Redis.
        policy: how the quota is used; all processes of an account should say the same.
        patience: seconds after which Redis counts as away, above 0.
    """

    def __init__(self, client: Any, account: str, policy: QuotaPolicy, *, patience: float = 0.5) -> None:
        self._key = "fusebill_async:quota:2:" + sha256(account.encode()).hexdigest()[:32]
        self._mine = {
            "name": secrets.token_hex(8),
            "share": policy.share,
            "per_minute": policy.per_minute,
            "per_day": policy.per_day,
        }
        self._patience = patience
        self._script = cast("_Script", client.register_script(SCRIPT))

    async def exchange(self, report: QuotaReport) -> QuotaGrant:
        """Tell what is held and known, and take what is granted.

        Raises:
            TimeoutError: Redis did not answer in time.
            Exception: what redis-py raises when Redis is away.
        """
        told = json.dumps({**attrs.asdict(report), **self._mine})
        async with asyncio.timeout(self._patience):
            answer = await self._script(keys=[self._key], args=[told])
        heard: dict[str, Any] = json.loads(answer)
        return QuotaGrant(
            granted=int(heard["granted"]),
            elsewhere=int(heard["elsewhere"]),
            processes=int(heard["processes"]),
            minute=_window(heard["minute"]),
            day=_window(heard["day"]),
            pause=float(heard["pause"]),
        )


def _window(heard: dict[str, float]) -> WindowFacts:
    # Lua has one kind of number; the counts among them are whole.
    return WindowFacts(
        reset=float(heard["reset"]),
        limit=int(heard["limit"]),
        used=int(heard["used"]),
        own=int(heard["own"]),
        age=float(heard["age"]),
    )
