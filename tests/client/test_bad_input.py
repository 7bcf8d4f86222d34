"""Bad input gets a clear error before anything is sent."""

from __future__ import annotations

import pytest

from fusebill_async import (
    BadRequestError,
    ConfigurationError,
    Customer,
    FusebillClient,
    Outcome,
    PoolSettings,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UpdatePolicy,
    ValidationError,
)
from fusebill_async.testing import FusebillSimulator
from tests.conftest import KEY


@pytest.mark.parametrize("bad", [0, -1, True, "12", 2**63, 12.0, None, b"1", [1]])
@pytest.mark.parametrize("verb", ["get", "hold", "unlatch", "update", "plan_update", "edit", "preview", "activate"])
async def test_ids(fusebill: FusebillSimulator, client: FusebillClient, bad, verb):
    async def edit():
        async with client.customers.edit(bad):
            pass

    calls = {
        "get": lambda: client.customers.get(bad),
        "hold": lambda: client.customers.hold(bad),
        "unlatch": lambda: client.hubspot.unlatch(bad),
        "update": lambda: client.customers.update(bad, company_name="x"),
        "plan_update": lambda: client.customers.plan_update(bad, company_name="x"),
        "edit": edit,
        "preview": lambda: client.customers.preview_activation(bad),
        "activate": lambda: client.customers.activate(bad, True, True, False),
    }
    with pytest.raises(ValidationError) as caught:
        await calls[verb]()
    assert caught.value.field == "customer_id"
    assert caught.value.outcome is Outcome.NOT_SENT
    assert isinstance(caught.value, ValueError)
    assert fusebill.connections == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("primary_email", "a@example.com, b@example.com"),
        ("primary_email", "a@example.com,b@example.com;c@example.com"),
        ("primary_email", "a@example.com; "),
        ("primary_email", "a@example.com,"),
        ("primary_email", ""),
        ("secondary_email", "é@example.com"),
        ("company_name", "\u0645\u06cc\u200c\u062e"),
        ("title", ""),
    ],
)
async def test_what_the_vendors_pages_allow_is_sent(fusebill, client, field, value):
    fusebill.add_customer(id=1)
    assert getattr(await client.customers.update(1, **{field: value}), field) == value


@pytest.mark.parametrize("length", [51, 255])
async def test_a_length_on_which_the_vendors_pages_disagree_is_left_to_the_service(fusebill, client, length):
    fusebill.add_customer(id=1)
    assert (await client.customers.plan_update(1, company_name="x" * length)).changes
    with pytest.raises(BadRequestError, match="companyName can be at most 50 characters"):
        await client.customers.update(1, company_name="x" * length)
    assert fusebill.writes("update", 1) == 1


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"first_name": "x" * 51}, "first_name", "50 characters at most, and was given 51"),
        ({"primary_email": "a@b.example; " * 20}, "primary_email", "255 characters"),
        ({"primary_email": "nobody"}, "primary_email", "'nobody'"),
        ({"secondary_email": "a@example.com; nobody"}, "secondary_email", "'nobody'"),
        ({"primary_email": "a@example.com,,b@example.com"}, "primary_email", "''"),
        ({"primary_email": ";"}, "primary_email", "''"),
        ({"primary_email": "a@example.com b@example.com"}, "primary_email", "is none"),
        ({"primary_email": "a@example.com\u200b"}, "primary_email", "u200b"),
        ({"secondary_email": "\ufeffa@example.com"}, "secondary_email", "ufeff"),
        ({"primary_email": "a\u00ad@example.com"}, "primary_email", "xad"),
        ({"primary_email": "a@example.com\n"}, "primary_email", "n'"),
        ({"primary_email": "a@example.com\r\nb@example.com"}, "primary_email", "is none"),
        ({"company_name": "x" * 256}, "company_name", "255 characters at most, and was given 256"),
        ({"title": "Sir"}, "title", "Mr, Mrs, Ms, Miss, Dr"),
        ({"reference": "x" * 256}, "reference", "255"),
        ({"currency": "dollar"}, "currency", "ISO code"),
        ({"company_name": 12}, "company_name", "must be a str"),
        ({"parent_id": True}, "parent_id", "must be an int"),
        ({"parent_id": 2**63}, "parent_id", "2**63 - 1"),
        ({"primary_phone": 6135550101}, "primary_phone", "must be a str"),
        ({"quickbooks_sync_token": float("nan")}, "quickbooks_sync_token", "nan"),
        (
            {"customer_reference": {"sales_tracking_codes": ["T"]}},
            "customer_reference.sales_tracking_codes[0]",
            "must be a dict",
        ),
        (
            {"customer_reference": {"sales_tracking_codes": {"type": "T"}}},
            "customer_reference.sales_tracking_codes",
            "must be a list",
        ),
        ({"quickbooks_latch_type": "Nothing"}, "quickbooks_latch_type", "CreateNew"),
        ({"customer_reference": {"reference1": "x" * 256}}, "customer_reference.reference1", "255"),
        ({"customer_reference": {"reference9": "x"}}, "customer_reference.reference9", "is not a field"),
        ({"customer_acquisition": "x"}, "customer_acquisition", "must be a dict"),
        (
            {"customer_reference": {"sales_tracking_codes": [{"type": "a", "code": "b"}] * 6}},
            "customer_reference.sales_tracking_codes",
            "5 codes at most",
        ),
        ({"compny_name": "x"}, "compny_name", "did you mean company_name?"),
        ({"modified_timestamp": None}, "modified_timestamp", "set by the service"),
        ({"id": 5}, "id", "set by the service"),
    ],
)
async def test_fields_of_the_update_page(fusebill: FusebillSimulator, client: FusebillClient, changes, field, told):
    with pytest.raises(ValidationError, match=None) as caught:
        await client.customers.update(1, **changes)
    assert caught.value.field == field
    assert told in str(caught.value)
    assert fusebill.connections == 0


async def test_nobody_is_suspended_by_hand(fusebill: FusebillSimulator, client: FusebillClient):
    fusebill.add_customer(id=1, status="Active")
    for allowed in (False, True):
        with pytest.raises(ValidationError, match="in charge of suspending") as caught:
            await client.customers.update(1, status="Suspended", allow_status_change=allowed)
        assert caught.value.field == "status"
    assert fusebill.received("update", 1) == 0


async def test_validation_can_be_left_to_the_service(fusebill: FusebillSimulator, client: FusebillClient):
    fusebill.add_customer(id=1, status="Active")
    with pytest.raises(BadRequestError, match="Sir"):
        await client.customers.update(1, validate=False, title="Sir")
    assert fusebill.received("update", 1) == 1


async def test_activation_flags_have_no_default(client: FusebillClient):
    with pytest.raises(TypeError):
        await client.customers.activate(1, activate_all_subscriptions=True, activate_all_draft_purchases=True)
    with pytest.raises(ValidationError, match="activate_all_subscriptions"):
        await client.customers.activate(1, None, True, True)
    with pytest.raises(ValidationError, match="True or False"):
        await client.customers.activate(1, "true", True, True)


async def test_required_options(client: FusebillClient):
    with pytest.raises(TypeError):
        await client.customers.release_hold(1)
    with pytest.raises(ValidationError, match="NoChargesForMissedPeriods"):
        await client.customers.release_hold(1, "none")
    with pytest.raises(ValidationError, match="None, Unearned, Full"):
        await client.customers.cancel(1, "none")


@pytest.mark.parametrize(
    "key",
    [
        "",
        " space before",
        "space behind ",
        "line\nbreak",
        "line break behind\n",
        "carriage\rreturn",
        "caf\u00e9",
        None,
        5,
        "Basic MDp",
    ],
)
def test_keys(key):
    with pytest.raises(ConfigurationError) as caught:
        FusebillClient(key)
    if isinstance(key, str) and len(key) > 6:
        assert key not in str(caught.value)
        assert key not in repr(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "secure.fusebill.com/v1",
        "https://secure.fusebill.com",
        "https://secure.fusebill.com/v2",
        "http://secure.fusebill.com/v1",
        "http://localhost.example.com/v1",
        "ftp://secure.fusebill.com/v1",
        "https://user:word@secure.fusebill.com/v1",
        "https://secure.fusebill.com:x/v1",
        "https://secure.fusebill.com/v1?x=1",
        "https://secure.fusebill.com/v1#part",
        "https://:word@secure.fusebill.com/v1",
        "https://secure.fusebill.com:0/v1",
        "https:///v1",
        None,
    ],
)
def test_base_urls(base_url):
    with pytest.raises(ConfigurationError):
        FusebillClient(KEY, base_url=base_url)


@pytest.mark.parametrize(
    "base_url",
    ["https://secure.fusebill.com/v1/", "http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:8/v1"],
)
def test_good_base_urls(base_url):
    assert "MDp" not in repr(FusebillClient(KEY, base_url=base_url))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Timeouts(read=0),
        lambda: Timeouts(total=-1),
        lambda: Timeouts(connect=float("nan")),
        lambda: Timeouts(queue="30"),
        lambda: PoolSettings(connections=0),
        lambda: PoolSettings(keepalive=True),
        lambda: RetryPolicy(max_attempts=0),
        lambda: RetryPolicy(budget_ratio=1.5),
        lambda: QuotaPolicy(share=0),
        lambda: QuotaPolicy(thresholds=[0.5]),
        lambda: SettlingPolicy(misses=1),
        lambda: UpdatePolicy(rounds=0),
        lambda: FusebillClient(KEY, timeouts=5),
        lambda: FusebillClient(KEY, on_cancel="ignore"),
    ],
)
def test_settings(make):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert isinstance(caught.value, ValueError)


def test_from_env(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FUSEBILL_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="FUSEBILL_API_KEY"):
        FusebillClient.from_env()
    monkeypatch.setenv("FUSEBILL_API_KEY", KEY)
    monkeypatch.setenv("FUSEBILL_BASE_URL", "http://127.0.0.1:9/v1")
    assert "127.0.0.1:9" in repr(FusebillClient.from_env())


async def test_replace_takes_a_customer(client: FusebillClient):
    with pytest.raises(ValidationError, match="replace takes a Customer"):
        await client.customers.replace(5)
    with pytest.raises(ValidationError):
        await client.customers.replace(Customer(first_name="x"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("CONNECT", "/customers/1"),
        ("GET", "customers/1"),
        ("GET", "https://elsewhere.example/v1"),
        ("GET", "/customers/../x"),
        ("GET", "/a b"),
        ("GET", "/customers/1?x=1"),
        ("GET", ""),
        ("GET", "/x\r\ny"),
    ],
)
async def test_requests_to_any_endpoint(client: FusebillClient, method, path):
    with pytest.raises(ValidationError):
        await client.request(method, path)
