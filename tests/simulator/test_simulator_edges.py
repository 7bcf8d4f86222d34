"""What ended a connection, lost a customer or was more lenient than the service is."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from urllib.parse import quote

import pytest

from fusebill_async.testing import Fault, FusebillSimulator, Template
from tests.simulator.plain_wire import Wire, ask

PUT = "/v1/customers"
ASCENDING = "&sortOrder=Ascending&sortExpression=id"
HALF = b'"a\\ud83d"'


async def ids(fusebill, query):
    answer = await ask(fusebill, "GET", f"/v1/customers?query={quote(query)}{ASCENDING}")
    assert answer.status == 200, answer.body
    return [customer["id"] for customer in answer.json]


# -- the state file ------------------------------------------------------------------------------------------


async def started(state):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusebill_async.testing", "--customers", "1", "--state", str(state),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    url = (await process.stdout.readline()).decode().strip()
    return process, int(url.split(":")[2].removesuffix("/v1")) if url else 0


async def test_what_was_acknowledged_survives_a_kill(tmp_path):
    state = tmp_path / "state.sqlite"
    process, port = await started(state)
    async with Wire(port) as wire:
        assert (await wire.ask("POST", "/v1/CustomerHold/1")).status == 200
        made = (await wire.ask("POST", "/v1/customers", {"firstName": "Ann"})).json["id"]
        process.kill()
    await process.wait()
    async with FusebillSimulator(state=state) as fusebill:
        assert fusebill.customer(1)["status"] == "Hold"
        assert fusebill.customer(made)["firstName"] == "Ann"


async def test_a_second_process_is_refused_the_file_and_loses_nothing(tmp_path):
    state = tmp_path / "state.sqlite"
    first, port = await started(state)
    second, _ = await started(state)
    _, told = await asyncio.wait_for(second.communicate(), 20)
    assert second.returncode == 1
    assert b"another simulator has" in told
    assert b"Traceback" not in told
    async with Wire(port) as wire:
        assert (await wire.ask("POST", "/v1/customers", {"firstName": "Ann"})).status == 200
    first.terminate()
    assert await asyncio.wait_for(first.wait(), 20) == 0
    async with FusebillSimulator(state=state) as fusebill:
        assert fusebill.customer_ids == [1, 2]
        with pytest.raises(sqlite3.OperationalError, match="another simulator"):
            await FusebillSimulator(state=state).start()


# -- what ended a connection -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [HALF, b"1" * 5000, b"1e999999999999999999999", b"[" * 600 + b"]" * 600, b'{"a":[1,"x"]}', b"[1,2]"]
)
async def test_no_stored_value_ends_later_requests(fusebill, value):
    fusebill.add_customer(id=1)
    fusebill.add_customer(id=2)
    async with Wire(fusebill.port) as wire:
        answer = await wire.ask("PUT", PUT, b'{"id":1,"status":"Active","salesforceId":%b}' % value)
        assert answer.status in {200, 400}
        fusebill.change(1, raw={"reference": value, "customerReference": b'{"salesTrackingCodes":%b}' % value})
        assert (await wire.ask("GET", "/v1/customers/1")).status == 200
        for query in ("status:Active", "reference:x*", "customerReference.salesTrackingCode1.code:a", "companyName:*2"):
            for order in ("id", "reference"):
                path = f"/v1/customers?query={query}&sortOrder=Ascending&sortExpression={order}"
                assert (await wire.ask("GET", path)).status == 200
    assert await ids(fusebill, "companyName:*2") == [2]


@pytest.mark.parametrize(
    "path",
    [
        "?query=arbalance:NaN|", "?query=arbalance:sNaN", "?query=arbalance:|Infinity",
        "?query=currentMrr:1e99999999999",
        f"?pageNumber={'9' * 5000}", f"?pageSize={'9' * 5000}", "?query=currencyId:0", "?query=currencyId:x",
        "?query=createdTimestamp:0001-01-01T00:00:00%2B14:00|", "?sortOrder=x&sortExpression=id",
        "?sortOrder=Ascending&sortExpression=bogus", "?query=id:" + "9" * 5000, "?query=firstName:[!a-",
    ],
)  # fmt: skip
async def test_no_filter_ends_the_connection(fusebill, path):
    fusebill.add_customer(id=1)
    async with Wire(fusebill.port) as wire:
        assert (await wire.ask("GET", "/v1/customers" + path)).status in {200, 400}
        assert (await wire.ask("GET", "/v1/customers/1")).status == 200


async def test_an_accident_ends_one_request(fusebill, monkeypatch):
    fusebill.add_customer(id=1)

    def full(*_):
        raise OSError("no space left")

    async with Wire(fusebill.port) as wire:
        with monkeypatch.context() as patched:
            patched.setattr(fusebill.service.store, "changed", full)
            assert (await wire.ask("POST", "/v1/CustomerHold/1")).status == 500
        assert (await wire.ask("GET", "/v1/customers/1")).status == 200


async def test_half_a_character_is_served_indented_and_with_wrong_types():
    async with FusebillSimulator(template=Template(pretty=True)) as fusebill:
        fusebill.add_customer(
            id=1, raw={"firstName": HALF, "rate": b"1.0e2", "list": b'[1,{"a":[]},"b\\"{"]', "o": b"{}"}
        )
        answer = await ask(fusebill, "GET", "/v1/customers/1")
        assert b'\n  "firstName": "a\\ud83d",\n' in answer.body
        assert b'"rate": 1.0e2,' in answer.body
        assert json.loads(answer.body) == json.loads(fusebill.customer_bytes(1))
        fusebill.inject(Fault.wrong_types())
        assert (await ask(fusebill, "GET", "/v1/customers/1")).json["firstName"] == ["a\ud83d"]


# -- HTTP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/customers/1", "/v1/nothing"])
async def test_head_has_no_body(fusebill, path):
    fusebill.add_customer(id=1)
    async with Wire(fusebill.port) as wire:
        await wire.send("HEAD", path)
        assert int((await wire.head()).header("Content-Length")) > 0
        # What follows the head is the next answer.
        assert (await wire.ask("GET", "/v1/customers/1")).json["id"] == 1


async def test_a_browser_may_ask(fusebill):
    fusebill.add_customer(id=1)
    origin = "Origin: https://shop.example.com"
    asks = ("Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,content-type")
    may = await ask(fusebill, "OPTIONS", PUT, key=None, headers=(origin, *asks))
    assert (may.status, may.body, may.header("Access-Control-Allow-Origin")) == (200, b"", "*")
    assert "PUT" in may.header("Access-Control-Allow-Methods")
    assert "authorization" in may.header("Access-Control-Allow-Headers").lower()
    answer = await ask(fusebill, "GET", "/v1/customers/1", headers=(origin,))
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, "*")
    assert (await ask(fusebill, "GET", "/v1/customers/1")).header("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_30_megabytes_is_refused_and_keeps_nobody_waiting(fusebill, chunked):
    fusebill.add_customer(id=1)
    part = b"x" * 2**20
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {30 * len(part)}"
    loop = asyncio.get_running_loop()
    async with Wire(fusebill.port) as big, Wire(fusebill.port) as other:
        big.writer.write(f"PUT {PUT} HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n".encode())
        slowest = 0.0
        for _ in range(30):
            big.writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            began = loop.time()
            assert (await other.ask("GET", "/v1/customers/1")).status == 200
            slowest = max(slowest, loop.time() - began)
        assert (await asyncio.wait_for(big.receive(), 5)).status == 413
        assert await asyncio.wait_for(big.reader.read(), 5) == b""
    assert slowest < 1.0
    assert fusebill.bytes_received > 4 * 2**20


# -- lists -------------------------------------------------------------------------------------------------------


async def test_an_empty_page_size_means_the_usual_one():
    async with FusebillSimulator(customers=120) as fusebill:
        answer = await ask(fusebill, "GET", "/v1/customers?pageSize=&pageNumber=")
        assert (len(answer.json), answer.header("X-PageSize")) == (100, "100")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("CurrencyId:2", [2]),
        ("currencyid:1,2", [1, 2, 3]),
        ("Arbalance:0", [1, 2, 3]),
        ("Arbalance:|0", []),
        ("NetSuiteId:17*", [1, 3]),
        ("NetSuiteId:1744", [1]),
        ("netsuiteid:[empty]", []),
        ("QuickBooksSyncToken:4,5", [2]),
        ("ParentId:7,8", [3]),
    ],
)
async def test_filters_that_the_page_has(fusebill, query, found):
    fusebill.add_customer(id=1, netsuite_id="1744", currency="USD")
    fusebill.add_customer(id=2, netsuite_id="2", currency="CAD", quickbooks_sync_token=5)
    fusebill.add_customer(id=3, netsuite_id="1745", parent_id=8)
    assert await ids(fusebill, query) == found


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wanted", "allowed"),
    [
        ("Draft", "Active", True),
        ("Draft", "Hold", False),
        ("Draft", "Cancelled", True),
        ("Active", "Hold", True),
        ("Active", "Cancelled", True),
        ("Active", "cancelled", True),
        ("Hold", "Active", True),
        ("Suspended", "Active", False),
        ("Cancelled", "Active", False),
        ("Suspended", "Suspended", True),
    ],
)
async def test_a_put_changes_a_status_only_where_a_verb_does(fusebill, before, wanted, allowed):
    fusebill.add_customer(id=1, status=before)
    answer = await ask(fusebill, "PUT", PUT, {"id": 1, "status": wanted, "currency": "USD"})
    assert (answer.status == 200) == allowed
    assert fusebill.customer(1)["status"] == (wanted.capitalize() if allowed else before)
    assert fusebill.effects("update", 1) == allowed


CODE = {"type": "Sales Tracking Code 1", "code": "East"}


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"portalUserName": "Taken"}, "already in use"),
        ({"portalUserName": "x" * 256}, "255"),
        ({"geotabId": "x" * 256}, "255"),
        ({"customerReference": {"reference2": "x" * 256}}, "255"),
        ({"customerAcquisition": {"Campaign": "x" * 256}}, "255"),
        ({"customerReference": {"salesTrackingCodes": [CODE | {"code": "x" * 256}]}}, "255"),
        ({"customerReference": {"salesTrackingCodes": [CODE, CODE]}}, "one of each"),
        ({"customerReference": {"SalesTrackingCodes": [CODE | {"type": f"T{n}"} for n in range(6)]}}, "one of each"),
        ({"customerReference": {"salesTrackingCodes": [{"type": "Store"}]}}, "needs a type and a code"),
        ({"customerReference": {"salesTrackingCodes": ["x"]}}, "needs a type and a code"),
        ({"customerReference": {"salesTrackingCodes": {}}}, "not a list"),
        ({"customerReference": "x"}, "not an object"),
        ({"currency": "DOLLAR"}, "not a valid currency"),
        ({"currency": "EUR"}, "cannot be changed"),
    ],
)
async def test_what_the_page_does_not_allow_is_refused(fusebill, fields, key):
    fusebill.add_customer(id=1)
    fusebill.add_customer(id=2, portal_user_name="taken")
    answer = await ask(fusebill, "PUT", PUT, {"id": 1, "status": "Active"} | fields)
    assert (answer.status, key in answer.text) == (400, True)
    if "EUR" not in fields.values():
        assert (await ask(fusebill, "POST", "/v1/customers", fields)).status == 400
    assert not fusebill.effects_log


async def test_what_the_page_allows_is_taken(fusebill):
    fusebill.add_customer(id=1, status="Draft", portal_user_name="mine")
    code = {"type": "Store", "code": "East"}
    sent = {
        "id": 1, "status": "Draft", "portalUserName": "mine", "currency": "eur", "title": "miss",
        "customerReference": {"reference1": "x" * 255, "salesTrackingCodes": [CODE, code]},
    }  # fmt: skip
    answer = await ask(fusebill, "PUT", PUT, sent)
    assert (answer.status, answer.json["currency"], answer.json["title"]) == (200, "EUR", "Miss")
    assert len(answer.json["customerReference"]["salesTrackingCodes"]) == 2


# -- what goes with a status -------------------------------------------------------------------------------------


async def test_a_hold_suspends_the_subscriptions(fusebill):
    fusebill.add_customer(id=1)
    path = "/v1/customers/1/subscriptions"
    assert [one["status"] for one in (await ask(fusebill, "GET", path)).json] == ["Active"]
    await ask(fusebill, "POST", "/v1/CustomerHold/1")
    assert [one["status"] for one in (await ask(fusebill, "GET", path)).json] == ["Suspended"]
    assert (await ask(fusebill, "GET", path + "?query=status:Active,Draft")).json == []
    assert len((await ask(fusebill, "GET", path + "?query=status:suspended")).json) == 1


@pytest.mark.parametrize("disabled", [False, True])
async def test_no_invoice_is_posted_while_posting_is_disabled(fusebill, disabled):
    fusebill.add_customer(id=1, status="Draft")
    body = {
        "customerId": 1, "activateAllSubscriptions": True, "activateAllDraftPurchases": True,
        "temporarilyDisableAutoPost": disabled,
    }  # fmt: skip
    answer = await ask(fusebill, "POST", "/v1/customerActivation?view=sideeffects", body)
    assert answer.json["status"] == "Active"
    assert ("invoices" in answer.json) is not disabled
    assert fusebill.invoices(1) == (not disabled)


# -- misspelt tests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"compny_name": "x"}, "companyName"),
        ({"status": "Holding"}, "Hold"),
        ({"status": "hold"}, "Hold"),
        ({"customer_reference": {"reference_1x": "x"}}, "reference1"),
        ({"customerAcquisition": {"campaing": "x"}}, "campaign"),
    ],
)
async def test_what_a_test_misspells_is_refused(fusebill, fields, hint):
    fusebill.add_customer(id=1)
    with pytest.raises(ValueError, match=hint):
        fusebill.add_customer(**fields)
    with pytest.raises(ValueError, match=hint):
        fusebill.change(1, **fields)
    assert fusebill.customer_ids == [1]
    with pytest.raises(ValueError, match="Nope"):
        FusebillSimulator(customers_status="Nope")
    # What the API does not know, or not yet, can be had on purpose.
    fusebill.add_customer(raw={"compnyName": b"1", "status": b'"Frozen"'})
