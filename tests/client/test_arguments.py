"""Whatever is given as an argument: the call works, or ends in a `FusebillError`; what is refused was never sent."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusebill_async import (
    ConfigurationError,
    Customer,
    CustomerReference,
    FusebillClient,
    FusebillError,
    Hooks,
    NotUnresolvedError,
    Outcome,
    PoolSettings,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Status,
    Timeouts,
    UpdatePolicy,
    ValidationError,
)
from fusebill_async.stores import MemoryStore, SQLiteStore
from fusebill_async.testing import FusebillSimulator
from tests.conftest import KEY

EAST, WEST = (dt.timezone(dt.timedelta(hours=hours)) for hours in (5, -5))


LAST, FIRST = (moment.replace(tzinfo=dt.UTC) for moment in (dt.datetime.max, dt.datetime.min))  # noqa: DTZ901


class Unshowable:
    """Its `repr` fails, as that of a half-made object of a user may."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def endless_list() -> list[Any]:
    one: list[Any] = []
    one.append(one)
    return one


def endless_dict() -> dict[str, Any]:
    one: dict[str, Any] = {}
    one["a"] = one
    return one


MADE = {
    "an endless list": endless_list,
    "an endless dict": endless_dict,
    "an iterator": lambda: iter([1, 2]),
    "a generator": lambda: (number for number in (1, "2")),
    "a customer": lambda: Customer(id=1),
    "a customer without an id": Customer,
    "a part of one": lambda: CustomerReference(reference1=5),
}
PLAIN = [
    None, True, False, 0, 1, -1, 2**63, 10**400, 10**5000, -(10**5000), 1.5, float("nan"), float("inf"), 1e308, 1j,
    Decimal("NaN"), Decimal("1e999999"), Decimal("-0"), Decimal("12345.0"), "", " ", "x", "1", "a|b", "x" * 300,
    "\ud800", "\0", "\u200b", b"x", bytearray(b"x"), [], [1], ["1"], [None], [[]], [{}], (), (1, 2), (None, None),
    {}, {1: 2}, {"a": "b"}, {(): 1}, {"a": {1: 2}}, set(), {1}, frozenset({"x"}), range(3), object(), object, int, len,
    (1, 2, 3), Unshowable(), [Unshowable()], {"a": Unshowable()}, {Unshowable(): 1}, Status.ACTIVE, Outcome.APPLIED,
    attrs.NOTHING, ..., NotImplemented, LAST, FIRST, LAST.replace(tzinfo=None), FIRST.replace(tzinfo=None),
    LAST.replace(tzinfo=WEST), FIRST.replace(tzinfo=EAST), (None, LAST.replace(tzinfo=None)),
    (FIRST.replace(tzinfo=EAST), None), dt.date.max, dt.date.min, dt.time(), dt.timedelta.max,
]  # fmt: skip

plain = st.sampled_from(range(len(PLAIN))).map(lambda number: PLAIN[number])
made = st.sampled_from(sorted(MADE)).map(lambda name: MADE[name]())
texts = st.sampled_from(["a", "status", "customer_reference", "reference1", "id", "", "\ud800"])
values = st.one_of(
    plain, made, st.lists(plain, max_size=3), st.dictionaries(texts, plain, max_size=3), st.tuples(plain, plain),
    st.dictionaries(texts, made, max_size=1), st.integers(), st.text(max_size=5),
    st.datetimes(timezones=st.sampled_from([None, EAST, WEST])),
)  # fmt: skip

FIELDS = (
    "company_name",
    "parent_id",
    "customer_reference",
    "customer_acquisition",
    "title",
    "currency",
    "status",
    "extra",
)
FIELDS_AND_MORE = (*FIELDS, "primary_email", "next_billing_date", "quickbooks_latch_type", "wire", "id", "\ud800")


async def edit(client, value, field):
    async with client.customers.edit(1) as draft:
        setattr(draft, field, value)


async def listed(client, **options):
    return [customer async for customer in client.customers.list(**options)]


def built(value, field):
    return Customer(**{"id": 1, field: value})


def calls() -> Iterator[tuple[str, Any]]:
    """Every public coroutine of a client with a value for one of its arguments, and good ones for the others."""
    good = {
        "customer_id": 1, "customer": Customer(id=1), "reference": "x", "force_latch": True,
        "service_start_option": "NoChargesForMissedPeriods", "cancellation_option": "None",
        "activate_all_subscriptions": True, "activate_all_draft_purchases": True,
        "temporarily_disable_auto_post": False, "hubspot_id": 5, "hubspot_company_id": 6, "netsuite_id": "7",
        "salesforce_id": "0011U000005Ihdk", "geotab_id": "8",
    }  # fmt: skip
    for resource in ("customers", "hubspot", "salesforce", "netsuite", "geotab"):
        example = getattr(FusebillClient(KEY), resource)
        for verb in [name for name in dir(example) if not name.startswith("_") and name != "with_response"]:
            if verb in {"list", "edit"}:
                continue
            signature = inspect.signature(getattr(example, verb))
            wanted = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
            for one in wanted:

                def call(client, value, resource=resource, verb=verb, wanted=wanted, one=one):
                    given = {p.name: good[p.name] for p in wanted if p.default is p.empty} | {one.name: value}
                    first = [given.pop(p.name) for p in wanted if p.kind is p.POSITIONAL_ONLY]
                    return getattr(getattr(client, resource), verb)(*first, **given)

                yield f"{resource}.{verb}({one.name}=)", call
    for field in FIELDS_AND_MORE:
        yield f"update({field}=)", lambda c, v, f=field: c.customers.update(1, **{f: v})
        yield f"update({field}=, validate=False)", lambda c, v, f=field: c.customers.update(1, validate=False, **{f: v})
        yield f"plan_update({field}=)", lambda c, v, f=field: c.customers.plan_update(1, **{f: v})
        yield f"create({field}=)", lambda c, v, f=field: c.customers.create(**{f: v})
        yield f"create({field}=, validate=False)", lambda c, v, f=field: c.customers.create(validate=False, **{f: v})
    for field in FIELDS:
        yield f"edit: {field}", lambda c, v, f=field: edit(c, v, f)
        yield f"replace of a built {field}", lambda c, v, f=field: c.customers.replace(built(v, f))
    for name in ("query", "page_size", "sort", "limit", "prefetch"):
        yield f"list({name}=)", lambda c, v, n=name: listed(c, **{n: v})
    for name in (
        "status",
        "created_timestamp",
        "arbalance",
        "parent_id",
        "company_name",
        "customer_reference",
        "\ud800",
    ):
        yield f"list(query={name!a})", lambda c, v, n=name: listed(c, query={n: v})
    yield "edit(customer_id=)", lambda c, v: c.customers.edit(v).__aenter__()
    yield "request(method=)", lambda c, v: c.request(v, "/customers/1")
    yield "request(path=)", lambda c, v: c.request("GET", v)
    yield "request(query=)", lambda c, v: c.request("GET", "/customers/1", query=v)
    yield "request(query=a value)", lambda c, v: c.request("GET", "/customers/1", query={"a": v})
    yield "request(body=)", lambda c, v: c.request("PUT", "/customers", body=v)
    yield "request(body=a value)", lambda c, v: c.request("PUT", "/customers", body={"id": 1, "x": v})
    yield "resolve(write=)", lambda c, v: c.resolve(v)


CALLS = dict(calls())
few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def used() -> Iterator[tuple[asyncio.Runner, FusebillSimulator, FusebillClient]]:
    """A loop with a service that forgives much, and a client of it."""
    with asyncio.Runner(debug=False) as runner:
        simulator = FusebillSimulator(customers=2, enforce_states=False)
        runner.run(simulator.start())
        client = FusebillClient(
            KEY, base_url=simulator.base_url, quota=QuotaPolicy.off(), retry=RetryPolicy(max_attempts=1)
        )
        runner.run(client.__aenter__())
        yield runner, simulator, client
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner.run(client.aclose())
        runner.run(simulator.aclose())


async def outcome_of(call, client, value):
    try:
        awaited = call(client, value)
        async with asyncio.timeout(20):
            await awaited
    except FusebillError as error:
        return error
    return None


@pytest.mark.parametrize("name", CALLS)
def test_a_call_works_or_ends_in_an_error_of_the_package(name, used):
    runner, simulator, client = used

    @few
    @given(values)
    def check(value):
        writes = len([r for r in simulator.requests if r.method != "GET"])
        error = runner.run(outcome_of(CALLS[name], client, value))
        if isinstance(error, ValidationError):
            assert isinstance(error.field, str)
            assert error.outcome is Outcome.NOT_SENT
            assert len(str(error)) < 2_000
            assert len([r for r in simulator.requests if r.method != "GET"]) == writes

    check()


MAKERS = {
    **{
        f"FusebillClient({name}=)": lambda value, name=name: FusebillClient(KEY, **{name: value})
        for name in inspect.signature(FusebillClient).parameters
        if name not in {"key", "effects"}
    },
    "FusebillClient(key)": FusebillClient,
    "with_options(timeouts=)": lambda value: FusebillClient(KEY).with_options(timeouts=value),
    "with_options(retry=)": lambda value: FusebillClient(KEY).with_options(retry=value),
    "with_options(on_cancel=)": lambda value: FusebillClient(KEY).with_options(on_cancel=value),
    **{
        f"{kind.__name__}({field.name}=)": lambda value, kind=kind, name=field.name: kind(**{name: value})
        for kind in (Timeouts, PoolSettings, RetryPolicy, QuotaPolicy, SettlingPolicy, UpdatePolicy)
        for field in attrs.fields(kind)
    },
}
NAMED = {"key": "API key", "base_url": "base_url"}


@pytest.mark.parametrize("name", MAKERS)
def test_what_a_client_is_made_with_works_or_is_refused_by_name(name):
    refused = []
    for value in (*PLAIN, *(make() for make in MADE.values())):
        try:
            MAKERS[name](value)
        except ConfigurationError as error:
            refused.append(error)
    argument = name.partition("(")[2].rstrip("=)")
    for error in refused:
        assert NAMED.get(argument, f"{argument}=") in str(error)
        assert len(str(error)) < 1_000
        assert error.__suppress_context__ or error.__context__ is None
    assert len(refused) > len(PLAIN) / 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"store": "x.sqlite"}, "SQLiteStore(path)"),
        ({"store": SQLiteStore}, "RedisStore(url)"),
        ({"store": MemoryStore}, "MemoryStore()"),
        ({"session": object()}, "aiohttp.ClientSession"),
        ({"session": aiohttp.ClientSession}, "aiohttp.ClientSession"),
        ({"hooks": Hooks()}, "hooks=[MyHooks()]"),
        ({"timeouts": Timeouts}, "Timeouts(...)"),
        ({"timeouts": 30}, "not 30"),
        ({"base_url": "https://h\\x/v1"}, "is not a URL"),
        ({"base_url": "https://secure.fusebill.com/v1\n"}, "base_url"),
    ],
)
def test_a_refusal_says_what_to_give(options, told):
    with pytest.raises(ConfigurationError) as caught:
        FusebillClient(KEY, **options)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (None, ""),
        ({}, ""),
        ({"a": True, "b": False, "c": None}, "?a=true&b=false"),
        ({"a": [1, "2", Status.HOLD], "b": {5}}, "?a=1%2C2%2CHold&b=5"),
        ({"a": Decimal("1.50"), "b": Decimal("1e3"), "c": 0.5}, "?a=1.50&b=1000&c=0.5"),
        (
            {"a": dt.datetime(2026, 1, 1, 5, tzinfo=EAST), "b": dt.date(2026, 1, 1)},
            "?a=2026-01-01T00%3A00%3A00Z&b=2026-01-01",
        ),
        ({"a b": "c&d=\u00e9"}, "?a+b=c%26d%3D%C3%A9"),
    ],
)
async def test_a_query_is_sent_in_the_forms_of_the_api(fusebill, client, query, sent):
    fusebill.add_customer(id=1)
    await client.request("GET", "/customers/1", query=query)
    assert fusebill.requests[-1].target == f"/v1/customers/1{sent}"


async def test_a_write_that_is_not_open_cannot_be_resolved(client):
    for write in ("nobody", 5):
        with pytest.raises(NotUnresolvedError, match="no unresolved write has the id") as caught:
            await client.resolve(write)
        assert isinstance(caught.value, KeyError)
