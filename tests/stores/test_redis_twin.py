"""The Redis of simulations does what a real one does: random sequences of our commands and scripts, on both."""

from __future__ import annotations

import json
import math

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusebill_async.policy.shared import QuotaReport, WindowFacts
from fusebill_async.stores.redis_locks import GIVE_BACK, RENEW, TAKE
from fusebill_async.stores.redis_quota import SCRIPT as QUOTA
from fusebill_async.stores.redis_store import KEEP, RECORD, RECORD_WITH_KEY
from fusebill_async.testing.redis_twin import RedisTwin, TwinError

START = 1_800_000_000.25

_OWNERS = st.sampled_from(["one", "two", "three"])
_CUSTOMERS = st.sampled_from([1, 1, 1, 2])
_TIMES = st.sampled_from(["", "2024-01-01T00:00:00Z", "2024-01-01T00:00:01.5Z"])
_NAMES = st.sampled_from(["a", "b", "c"])
_KEYS = st.sampled_from(["k", "l"])


def lease_keys(customer_id):
    lease = f"{{account}}:lease:{customer_id}"
    return [lease, f"{lease}:next", f"{lease}:newest"]


def take(owner, customer_id, impatient):
    return "eval", TAKE, lease_keys(customer_id), [owner, "10000", impatient]


def give_back(owner, customer_id, newest):
    return "eval", GIVE_BACK, lease_keys(customer_id), [owner, newest, "60000"]


def renew(owner, customers):
    return "eval", RENEW, [lease_keys(customer_id)[0] for customer_id in customers], [owner, "10000"]


def record(writer, name):
    return (
        "eval",
        RECORD,
        ["{account}:intents", f"{{account}}:count:{writer}"],
        [name, f"record of {writer}", "2592000"],
    )


def record_with_key(writer, name, key, replaces):
    keys = ["{account}:intents", f"{{account}}:count:{writer}", f"{{account}}:key:{key}"]
    return "eval", RECORD_WITH_KEY, keys, [name, f"record of {writer}", "2592000", f"begun by {writer}", replaces]


def keep(writer, name, key):
    return "eval", KEEP, ["{account}:intents", f"{{account}}:key:{key}"], [name, f"ended by {writer}", "3000"]


def field_of_key(key, name):
    return "hget", f"{{account}}:key:{key}", name


def quota(report, name):
    told = {**attrs.asdict(report), "name": name, "share": 0.9, "per_minute": 1000, "per_day": 100_000}
    return "eval", QUOTA, ["quota"], [json.dumps(told)]


_COUNTS = st.integers(0, 30)
_WINDOWS = st.builds(
    WindowFacts,
    reset=st.sampled_from([0.0, START + 60.0, START + 60.5, START + 120.0, START + 180.0]),
    limit=st.sampled_from([0, 10, 60]),
    used=_COUNTS,
    own=_COUNTS,
)
_REPORTS = st.builds(
    QuotaReport,
    want=_COUNTS,
    probe=st.booleans(),
    held=_COUNTS,
    minute=_WINDOWS,
    day=_WINDOWS,
    length=st.sampled_from([2.0, 60.0]),
    day_reserve=st.integers(0, 3),
    pause=st.sampled_from([0.0, 0.0, 0.0, 1.5]),
)

# A reservation lasts half a second, a lease ten.
_PASS = st.tuples(st.just("pass"), st.sampled_from([0.2, 0.7, 3.7]))
_LEASES = st.one_of(
    st.builds(take, _OWNERS, _CUSTOMERS, st.sampled_from(["0", "1"])),
    st.builds(give_back, _OWNERS, _CUSTOMERS, _TIMES),
    st.builds(renew, _OWNERS, st.lists(_CUSTOMERS, min_size=1, max_size=2)),
    _PASS,
)
_INTENTS = st.one_of(
    st.builds(record, _OWNERS, _NAMES),
    st.builds(record_with_key, _OWNERS, _NAMES, _KEYS, st.one_of(st.just(""), _NAMES)),
    st.builds(keep, _OWNERS, _NAMES, _KEYS),
    st.builds(field_of_key, _KEYS, st.sampled_from(["intent", "record", "open"])),
    st.tuples(st.just("hdel"), st.just("{account}:intents"), _NAMES),
    st.tuples(st.just("hset"), st.just("{account}:intents"), st.dictionaries(_NAMES, st.text(max_size=3), min_size=1)),
    st.tuples(st.just("hvals"), st.just("{account}:intents")),
    st.tuples(st.sampled_from(["get", "delete"]), st.sampled_from(["{account}:count:one", "{account}:intents"])),
    # A value of another kind under a name of ours.
    st.tuples(st.just("set"), st.just("{account}:intents"), st.just("7")),
    _PASS,
)
_QUOTA = st.one_of(st.builds(quota, _REPORTS, _OWNERS), _PASS)
_STEPS = st.one_of(_LEASES, _INTENTS, _QUOTA)


class Both:
    """A real Redis and its twin, with one clock."""

    def __init__(self, real):
        self.real = real
        self.now = START
        self.twin = RedisTwin(lambda: self.now)
        real.flushall()

    def carry_out(self, step):
        name, *arguments = step
        if name == "pass":
            self.let_pass(arguments[0])
            return
        told, heard = self.ask_twin(name, arguments), self.ask_real(name, arguments)
        if name == "eval" and arguments[0] == QUOTA and not isinstance(told, str):
            assert same(json.loads(told), json.loads(heard)), (step, told, heard)
        else:
            assert told == heard, step
        self.compare()
        # What has really passed meanwhile is taken back.
        self.let_pass(0.0)

    def ask_twin(self, name, arguments):
        try:
            return getattr(self.twin, name)(*arguments)
        except TwinError as error:
            return str(error).partition(" ")[0]

    def ask_real(self, name, arguments):
        import redis

        try:
            if name == "eval":
                script, keys, values = arguments
                # The one thing that is not ours to choose on a real server.
                seconds, micros = divmod(math.floor(self.now * 1e6), 1_000_000)
                script = script.replace("redis.call('TIME')", f"{{'{seconds}', '{micros}'}}")
                return self.real.eval(script, len(keys), *keys, *values)
            if name == "hset":
                return self.real.hset(arguments[0], mapping=arguments[1])
            return getattr(self.real, name)(*arguments)
        except redis.ResponseError as error:
            return "WRONGTYPE" if "WRONGTYPE" in str(error) else str(error)

    def compare(self):
        """What stands in both, and for how long yet."""
        dump = self.twin.dump()
        assert {key.decode() for key in self.real.scan_iter()} == set(dump)
        for key, (value, left) in dump.items():
            found = self.real.hgetall(key) if isinstance(value, dict) else self.real.get(key)
            if key == "quota":
                assert same(json.loads(value), json.loads(found))
            else:
                assert found == value
            real_left = self.real.pttl(key)
            assert (real_left == -1) if left is None else abs(real_left - left * 1000) < 400

    def let_pass(self, seconds):
        """Let the time pass on the real server that passes for the twin, and no other."""
        left = {key: value[1] for key, value in self.twin.dump().items()}
        self.now += seconds
        for key, before in left.items():
            if before is None:
                continue
            if before > seconds:
                self.real.pexpire(key, round((before - seconds) * 1000))
            else:
                self.real.delete(key)


def same(one, other):
    """Whether two answers are the same; Lua has one kind of number, and an empty table is a list or an object."""
    if isinstance(one, dict) and one:
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (int, float)):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=2e-4)
    return one == other


@pytest.mark.parametrize("kind", ["leases", "intents", "quota", "all"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_twin_answers_and_keeps_what_a_real_redis_does(redis_url, kind, data):
    redis = pytest.importorskip("redis")
    steps = {"leases": _LEASES, "intents": _INTENTS, "quota": _QUOTA, "all": _STEPS}[kind]
    with redis.Redis.from_url(redis_url) as real:
        both = Both(real)
        for step in data.draw(st.lists(steps, min_size=10, max_size=40)):
            both.carry_out(step)


def test_a_lease_that_is_kept_for_who_has_waited_long_is_the_same_on_both(redis_url):
    redis = pytest.importorskip("redis")
    with redis.Redis.from_url(redis_url) as real:
        both = Both(real)
        for step in [
            take("one", 1, "0"),
            take("two", 1, "1"),
            take("three", 1, "1"),
            give_back("one", 1, "2024-01-01T00:00:00Z"),
            take("one", 1, "0"),
            take("two", 1, "0"),
            take("three", 1, "1"),
            ("pass", 0.7),
            give_back("two", 1, ""),
            take("one", 1, "1"),
            ("pass", 11.0),
            renew("one", [1]),
            take("three", 1, "0"),
        ]:
            both.carry_out(step)
        assert both.twin.get(lease_keys(1)[0]) == b"three"
