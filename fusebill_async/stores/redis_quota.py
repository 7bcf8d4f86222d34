"""The quota on Redis: one budget for all processes of an account.

One Lua script does all of it, on the Redis server's clock, so that two processes never see half of a change
and their own clocks do not matter. Processes are lent calls in small batches. Each claims what it has used
and what it still holds as a total, so an answer of Redis that gets lost, or a process that is killed, costs
no more than its batch until the window turns.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from hashlib import sha256
from typing import Any, Protocol, cast

import attrs

from fusebill_async.policy.shared import Claim, Lease
from fusebill_async.settings import QuotaPolicy

_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local a = cjson.decode(ARGV[1])
local text = redis.call('GET', KEYS[1])
local st = text and cjson.decode(text) or {
  m = {
    after = 0, reset = 0, limit = a.default_limit, used = 0, length = 0, began = now, low = 0, base = -1,
  },
  d = {after = 0, reset = 0, limit = a.default_day, used = 0, own = 0},
  p = {}, offset = false, offset_at = now, pause = 0, tokens = -1, tokens_at = now,
}
local m, d = st.m, st.d
local length = m.length > 0 and m.length or 60
local slack = math.max(0.5, m.length / 20)

-- The service's clock is at least this far ahead of Redis's. The bound loosens, as two clocks part.
if st.offset then st.offset = st.offset - math.max(0, now - st.offset_at) * 2e-4 end
st.offset_at = now
if a.low then
  if not st.offset or a.low - now > st.offset or a.high - now < st.offset - 0.5 then st.offset = a.low - now
  end
end

local function roll()
  local ended = m.reset
  if ended > 0 then m.after = ended end
  local before = m.began
  m.reset, m.used, m.low, m.base = 0, 0, 0, 0
  m.began = now
  if ended > 0 and st.offset and now - (ended - st.offset) < length then
    m.began = ended - st.offset
  else
    m.base = -1
  end
  for name, p in pairs(st.p) do
    -- What a process had under way may be counted in the new window.
    -- Who was silent for a whole window is gone.
    if p.s < before then st.p[name] = nil else p.c, p.n = p.h, 0 end
  end
end

if m.reset > 0 then
  if (st.offset and now + st.offset >= m.reset) or a.after >= m.reset - slack or a.reset > m.reset + slack
  then
    roll()
  end
elseif now - m.began > length + 1 then
  roll()
end
if m.reset == 0 and a.reset > m.after + slack then
  if m.after > 0 and (m.length == 0 or a.reset - m.after < m.length) then
    m.length = math.min(60, a.reset - m.after)
    length = m.length
  end
  m.reset = a.reset
end
if m.length == 0 and a.length > 0 then
  m.length = a.length
  length = a.length
end

if d.reset > 0 and ((st.offset and now + st.offset >= d.reset) or a.day_reset > d.reset + 0.5) then
  d.after, d.reset, d.used, d.own = d.reset, 0, 0, 0
end
if d.reset == 0 and a.day_reset > d.after + 0.5 then d.reset = a.day_reset end
if a.day_limit > 0 and a.day_reset > 0 and math.abs(a.day_reset - d.reset) <= 0.5 then
  d.limit = a.day_limit
  d.used = math.max(d.used, a.day_used)
  d.own = d.own + a.day_counted
end

-- A process that does not know of the turn yet claims no more than it has under way.
local behind = (a.reset > 0 and a.reset <= m.after + slack) or (a.reset == 0 and m.after > a.after + slack)
local me = {c = a.counted + a.held + a.keep, n = a.counted, h = a.held, s = now}
if behind then me.c, me.n = a.held, 0 end
st.p[a.name] = me
if a.limit > 0 and a.reset > 0 and math.abs(a.reset - m.reset) <= slack then
  m.limit = a.limit
  m.used = math.max(m.used, a.used)
end
if a.pause > 0 then
  st.pause = math.max(st.pause, now + a.pause)
  st.tokens, st.tokens_at = 0, st.pause
end

local claimed, counted, active = 0, 0, 0
for _, p in pairs(st.p) do
  claimed, counted = claimed + p.c, counted + p.n
  if p.s > now - 1 then active = active + 1 end
end
active = math.max(active, 1)

-- What was used and nobody claims is another program's. What is claimed and not known to be
-- counted may be either's.
m.low = math.max(m.low, m.used - claimed)
local others = 0
if m.low > 0 then others = math.max(m.low, (m.low + m.used - counted) / 2) end
if m.base < 0 and m.used > 0 then m.base, m.began = others, now end
local ends = now + length
if m.reset > 0 and st.offset then
  ends = m.reset - st.offset
elseif m.after > 0 and st.offset then
  local first = m.after - st.offset
  ends = first + (math.floor(math.max(0, now - first) / length) + 1) * length
end
local coming = 0
if others > 0 then
  coming = math.max(0, others - math.max(m.base, 0)) / (now - m.began + length / 20) * math.max(0, ends - now)
end
local doubt = others > 0 and 2 + 1.5 * math.sqrt(coming) or 0
local free = math.min(
  m.limit - claimed - others - coming - doubt, m.limit - m.used, a.share * m.limit - claimed)
local burst = a.burst * a.share * m.limit
if m.reset == 0 and m.after == 0 then burst = burst / 5 end
burst = math.max(1, burst)
local lead = math.min(a.lead, length / 10)
local pace = math.max(0, free) / math.max(ends - lead - now, length / 50)
if m.reset == 0 then
  local mine = a.share * m.limit
  pace = math.min(pace, math.max(mine / 10, mine - burst) / (length - lead))
end
if st.tokens < 0 then
  st.tokens = burst
else
  st.tokens = math.min(burst, st.tokens + pace * math.max(0, now - st.tokens_at))
end
st.tokens_at = math.max(now, st.tokens_at)

local day_left = math.min(d.limit - math.max(d.used, d.own), a.share * d.limit - d.own) - (claimed - counted)
local granted = math.min(a.want, st.tokens, free, day_left, math.max(1, math.ceil(2 * st.tokens / active)))
granted = math.max(0, math.floor(granted))
if st.pause > now then granted = 0 end
st.tokens = st.tokens - granted
me.c = me.c + granted

local step = math.min(0.25, math.max(0.02, length / 40))
local wait = 0
if granted < a.want then
  if st.pause > now then
    wait = st.pause - now
  elseif free < 1 then
    wait = math.min(step, math.max(0.001, ends - now))
  else
    wait = math.min(4 * step, math.max(step, active / pace))
  end
end
redis.call('SET', KEYS[1], cjson.encode(st), 'EX', 172800)
return cjson.encode({
  granted = granted, wait = wait, seconds = math.max(0, math.min(1, 8 * step, ends - now)),
  after = m.after, reset = m.reset, limit = (m.reset > 0 or m.after > 0) and m.limit or 0, used = m.used,
  length = m.length, day_after = d.after, day_reset = d.reset,
  day_limit = (d.reset > 0 or d.after > 0) and d.limit or 0, day_used = math.max(d.used, d.own),
  elsewhere = math.max(0, claimed - counted - (me.c - granted - me.n)), pause = math.max(0, st.pause - now),
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
        self._key = "fusebill_async:quota:" + sha256(account.encode()).hexdigest()[:32]
        self._name = secrets.token_hex(8)
        self._policy = policy
        self._patience = patience
        self._script = cast("_Script", client.register_script(_SCRIPT))

    async def exchange(self, claim: Claim) -> Lease:
        """Tell what is claimed and take what is lent.

        Raises:
            TimeoutError: Redis did not answer in time.
            Exception: what redis-py raises when Redis is away.
        """
        facts: dict[str, Any] = attrs.asdict(claim)
        times = facts.pop("service_time")
        if times is not None:
            facts["low"], facts["high"] = times
        facts.update(
            name=self._name,
            share=self._policy.share,
            burst=self._policy.burst,
            default_limit=self._policy.per_minute,
            default_day=self._policy.per_day,
        )
        async with asyncio.timeout(self._patience):
            answer = await self._script(keys=[self._key], args=[json.dumps(facts)])
        lent: dict[str, Any] = json.loads(answer)
        # Lua has one kind of number; the counts among them are whole.
        facts = {name: int(value) if name in _COUNTS else float(value) for name, value in lent.items()}
        return Lease(**facts)


_COUNTS = frozenset({"granted", "limit", "used", "day_limit", "day_used", "elsewhere"})
