"""What other clients of the service send, and what they rely on in its answers.

Nobody here wrote them: the vendor's own .NET sample, a Singer tap, clients in PHP and Node, and a shop's plug-in.
Each row is a request as such a client makes it, in our own words.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import attrs
import pytest

from tests.simulator.plain_wire import Wire, ask

RAW = b64encode(b"0:made-up-secret").decode()
"""A raw key as user 0 with the key as its password; the key of the UI is already so."""

DOT_NET = (
    "Accept: application/json", "Content-Type: application/json; charset=utf-8", "Accept-Encoding: gzip, deflate",
    "x-audit-source: Sample", "x-system-source: Sample", "DateForTesting: 2015-06-01",
)  # fmt: skip
FORM = ("Content-Type: application/x-www-form-urlencoded",)
PAGING = (
    "X-Count", "X-MaxCount", "X-CurrentPage", "X-PreviousPage", "X-NextPage", "X-PageSize", "X-MaxPageIndex",
    "X-SortOrder", "X-SortExpression",
)  # fmt: skip
DRAFT, ACTIVE, HOLD, CANCELLED = 1, 2, 3, 4
LATCH = {"fusebillId": ACTIVE}


@attrs.frozen
class Call:
    """A request, and what its client needs of the answer."""

    client: str
    method: str
    target: str
    body: Any = None
    status: int = 200
    shows: dict[str, Any] = attrs.field(factory=dict)
    headers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    effect: str | None = None

    def __str__(self) -> str:
        return f"{self.client}: {self.method} {self.target}"


CALLS = [
    # The vendor's .NET sample: user id 0 and the raw key, booleans as .NET writes them, headers of its own.
    Call("vendor", "GET", "/v1/customers/2", headers=DOT_NET, shows={"id": ACTIVE, "status": "Active"}),
    Call("vendor", "GET", "/v1/customers/2/Overview", headers=DOT_NET, shows={"status": "Active"}),
    Call(
        "vendor", "GET",
        "/v1/Customers?query=status:Active&pageSize=10&pageNumber=0&sortOrder=Descending&sortExpression=id",
        headers=DOT_NET, needs=PAGING,
    ),
    Call("vendor", "GET", "/v1/Customers?quickSearch=Company+2&pageSize=&pageNumber=", headers=DOT_NET, needs=PAGING),
    Call(
        "vendor", "POST", "/v1/CustomerActivation?preview=True&showZeroDollarCharges=False",
        {"customerId": DRAFT, "activateAllSubscriptions": True, "activateAllDraftPurchases": True},
        headers=DOT_NET, shows={"status": "Draft"},
    ),
    Call(
        "vendor", "POST", "/v1/CustomerActivation?preview=False&showZeroDollarCharges=True",
        {
            "customerId": DRAFT, "activateAllSubscriptions": True, "activateAllDraftPurchases": True,
            "temporarilyDisableAutoPost": False,
        },
        headers=DOT_NET, shows={"status": "Active"}, effect="activate",
    ),
    Call(
        "vendor", "POST", "/v1/CustomerCancellation", {"customerId": ACTIVE, "cancellationOption": "Full"},
        headers=DOT_NET, shows={"status": "Cancelled"}, effect="cancel",
    ),
    Call(
        "vendor", "PUT", "/v1/Customers", {"id": ACTIVE, "status": "Active", "firstName": "Ann", "title": None},
        headers=DOT_NET, shows={"firstName": "Ann", "lastName": None, "title": ""}, effect="update",
    ),
    # A Singer tap: pages of 1,000, and a header that tells the last page.
    Call(
        "tap", "GET", "/v1/customers?pageSize=1000&pageNumber=0",
        headers=("Accept: */*", "Connection: keep-alive"), needs=("X-MaxPageIndex",),
    ),
    # A PHP client: knows a list by one header, and joins the texts of an error.
    Call("php", "GET", "/v1/customers/?query=reference:R-2", headers=("Accept: application/json",), needs=("x-count",)),
    Call("php", "POST", "/v1/customers", {"firstName": "Ann"}, shows={"status": "Draft", "title": ""}, effect="create"),
    Call("php", "GET", "/v1/customers/77", status=404, shows={"ErrorId": 0, "HttpStatusCode": 404}),
    # Node clients: lower-case names of headers, bodies of null, paths with a slash at the end, a POST of nothing.
    Call(
        "node", "GET", "/v1/customers/2/", headers=("Accept: application/json, text/plain, */*",),
        needs=("x-rate-limit-limit-day", "x-rate-limit-remaining-day"),
    ),
    Call("node", "GET", "/v1/customers/2/subscriptions?query=status:Active,Draft"),
    Call("node", "POST", "/v1/customerHold/2", headers=FORM, shows={"status": "Hold"}, effect="hold"),
    Call(
        "node", "POST", "/v1/customers/unhold",
        {"customerId": HOLD, "serviceStartOption": "NoChargesForMissedPeriods", "preview": False, "prorate": False},
        shows={"status": "Active"}, effect="release_hold",
    ),
    Call("node", "POST", "/v1/customers/uncancel/4", shows={"status": "Active"}, effect="uncancel"),
    Call("node", "POST", "/v1/customers/purchase/2", headers=FORM, shows={"id": ACTIVE}, effect="activate_items"),
    Call(
        "node", "POST", "/v1/customers/purchase/2",
        {
            "preview": True,
            "specificSubscriptionIds": [7],
            "invoiceCollectOptions": {"paymentMethod": "UseDefaultPaymentMethod", "useAnyAvailableFundsFirst": True},
        },
        shows={"id": ACTIVE},
    ),
    Call("node", "GET", "/v1/nowhere", status=404, needs=("content-type",)),
    Call("node", "GET", "/v1/customerbillingsetting/2", shows={"customerId": ACTIVE}),
    # A shop's plug-in: two keys and no more, in lower case, with a slash at the end.
    Call(
        "shop", "POST", "/v1/customeractivation/", {"customerId": DRAFT, "activateAllSubscriptions": "true"},
        shows={"status": "Active"}, effect="activate",
    ),
    # Latches of integrations.
    Call(
        "latch", "POST", "/v1/hubspot/latchcustomer", LATCH | {"hubSpotId": 9},
        shows={"hubSpotId": 9}, effect="latch",
    ),
    Call(
        "latch", "POST", "/v1/Salesforce/Latch", LATCH | {"salesforceId": "S-1", "forceLatch": True},
        shows={"salesforceId": "S-1"}, effect="salesforce.latch",
    ),
    Call(
        "latch", "POST", "/v1/NetSuite/LatchCustomer", LATCH | {"netsuiteId": "N-1"},
        shows={"netsuiteId": "N-1"}, effect="netsuite.latch",
    ),
    Call("latch", "POST", "/v1/Netsuite/DisableSynch/2", shows={"netsuiteSynchStatus": "Disabled"}),
    Call("latch", "POST", "/v1/Geotab/UnlatchCustomer", LATCH, shows={"geotabId": None}, effect="geotab.unlatch"),
]  # fmt: skip

FURTHER = [
    ("POST", "/subscriptions"),
    ("DELETE", "/subscriptions/Delete/7"),
    ("POST", "/subscriptionActivation/7"),
    ("POST", "/SubscriptionsActivation"),
    ("PUT", "/SubscriptionProducts/7"),
    ("POST", "/Purchases/Purchase?preview=false&showZeroDollarCharges=false&temporarilyDisableAutoPost=true"),
    ("PUT", "/CustomerAddressPreferences"),
    ("PUT", "/Addresses"),
    ("POST", "/customernotes"),
    ("DELETE", "/customerNotes/7"),
    ("GET", "/customers/2/paymentMethods/creditCard"),
    ("GET", "/Countries"),
    ("GET", "/Plans?query=status:Active"),
    ("GET", "/invoices/pdf/7"),
]


@pytest.fixture
def customers(fusebill):
    for customer_id, status in ((DRAFT, "Draft"), (ACTIVE, "Active"), (HOLD, "Hold"), (CANCELLED, "Cancelled")):
        fusebill.add_customer(id=customer_id, status=status, reference=f"R-{customer_id}")


@pytest.mark.parametrize("call", CALLS, ids=str)
async def test_another_client_gets_what_it_relies_on(fusebill, customers, call):
    key = RAW if call.client in {"vendor", "php"} else "MDpub3QtYS1yZWFsLWtleQ=="
    answer = await ask(fusebill, call.method, call.target, call.body, key=key, headers=call.headers)
    assert answer.status == call.status, answer.body
    assert [name for name in call.needs if answer.header(name) is None] == []
    if call.shows:
        assert {name: answer.json[name] for name in call.shows} == call.shows
    writes = fusebill.effects(call.effect) if call.effect else 0
    assert len(fusebill.effects_log) == max(writes, call.target.endswith("DisableSynch/2"))
    assert writes == (call.effect is not None)


@pytest.mark.parametrize(("method", "target"), FURTHER, ids=lambda value: value)
async def test_an_endpoint_that_the_simulator_has_not_can_be_added(fusebill, method, target):
    """They are used by working clients, and so by `client.request`."""
    before = await ask(fusebill, method, "/v1" + target, {} if method in {"POST", "PUT"} else None)
    assert (before.status, list(before.json)) == (404, ["Message"])
    fusebill.add_route(method, target.partition("?")[0], {"id": 7})
    answer = await ask(fusebill, method, "/v1" + target, {} if method in {"POST", "PUT"} else None)
    assert (answer.status, answer.json) == (200, {"id": 7})


async def test_a_list_is_read_to_the_page_that_the_header_tells(fusebill):
    """The tap asks from page 0 to X-MaxPageIndex, both included, and wants everyone once."""
    for customer_id in range(1, 26):
        fusebill.add_customer(id=customer_id)
    seen, page, last = [], 0, 0
    while page <= last:
        answer = await ask(fusebill, "GET", f"/v1/customers?pageSize=10&pageNumber={page}")
        last = int(answer.header("X-MaxPageIndex"))
        seen += [customer["id"] for customer in answer.json]
        page += 1
    assert sorted(seen) == list(range(1, 26))


async def test_an_error_is_a_list_of_keys_and_texts(fusebill):
    """Two clients join the texts of all entries."""
    fusebill.add_customer(id=1)
    long = {"id": 1, "status": "Active", "firstName": "x" * 51, "lastName": "x" * 51}
    answer = await ask(fusebill, "PUT", "/v1/customers", long)
    assert ", ".join(entry["Value"] for entry in answer.json["Errors"]).count("characters") == 2


async def test_a_client_that_asks_before_it_sends_the_body(fusebill):
    """HttpWebRequest of .NET sends the head of a POST with Expect: 100-continue, and waits."""
    fusebill.add_customer(id=1)
    body = b'{"customerId":1,"cancellationOption":"None"}'
    async with Wire(fusebill.port) as wire:
        head = (
            "POST /v1/CustomerCancellation HTTP/1.1",
            "Host: h",
            f"Authorization: Basic {RAW}",
            "Expect: 100-continue",
        )
        wire.writer.write("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode())
        assert (await wire.head()).status == 100
        wire.writer.write(body)
        assert (await wire.receive()).json["status"] == "Cancelled"
