"""The requests of the four API pages, letter by letter, as curl and the samples in C# and Python send them."""

from __future__ import annotations

import json

import pytest

from fusebill_async.testing import FusebillSimulator
from fusebill_async.testing.lenient_json import strict
from tests.simulator.plain_wire import ask

# A shell takes the inner quotes of curl's -d "{"customerId": ...}" away.
ACTIVATE_CURL = (
    b"{customerId: 8708457, activateAllSubscriptions: true,                            \t   "
    b"activateAllDraftPurchases: true, temporarilyDisableAutoPost: false}"
)
ACTIVATE_BODY = b"""{
  "customerId": 8708457,
  "activateAllSubscriptions": true,
  "activateAllDraftPurchases": true,
  "temporarilyDisableAutoPost": false
}"""
UPDATE_CURL = b"{id:12000750,title:'Mr',firstName:'John',lastName:'Smith',companyName:'Acme Inc.',Status:'Active'}"
UPDATE_C_SHARP = (
    b"{'firstName':'John','middleName':'B','lastName':'Smith','companyName':'Acme Inc','suffix':'Sr',"
    b"'primaryEmail':'[email protected]','primaryPhone':'809997777','secondaryEmail':'[email protected]',"
    b"'secondaryPhone':'1 (800) 445-6000','title':'Mr','reference':null,'status':'Cancelled',"
    b"'customerAccountStatus':'Good','currency':'USD','customerReference':{'reference1':null,'reference2':null,"
    b"'reference3':null,'salesTrackingCodes':[],'id':169458},'customerAcquisition':{'adContent':null,'campaign':null,"
    b"'keyword':null,'landingPage':null,'medium':null,'source':null,'id':169458},'monthlyRecurringRevenue':0,"
    b"'netMonthlyRecurringRevenue':0,'salesforceId':null,'salesforceAccountType':null,"
    b"'salesforceSynchStatus':'Enabled','netsuiteId':null,'netsuiteCustomerType':'','portalUserName':null,"
    b"'parentId':null,'id':169458}"
)
UPDATE_PYTHON = b'{"id": 183365, "firstName": "john", "lastName": "smith", "Status": "Active"}'

JSON = ("Content-Type: application/json",)


@pytest.mark.parametrize("path", ["/v1/CustomerHold/12000750", "/v1/customerHold/12000750"])
async def test_the_page_of_holding(fusebill: FusebillSimulator, path: str) -> None:
    fusebill.add_customer(id=12000750, status="Active")
    answer = await ask(fusebill, "POST", path, headers=JSON)
    assert (answer.status, answer.json["status"]) == (200, "Hold")
    assert fusebill.effects("hold", 12000750) == 1


async def test_the_page_of_unlatching(fusebill: FusebillSimulator) -> None:
    fusebill.add_customer(id=2554529, hubSpotId=101, hubSpotCompanyId=202)
    answer = await ask(fusebill, "POST", "/v1/HubSpot/UnlatchCustomer/2554529", headers=JSON)
    assert (answer.status, answer.json["hubSpotId"], answer.json["hubSpotCompanyId"]) == (200, None, None)


@pytest.mark.parametrize("body", [ACTIVATE_BODY, ACTIVATE_CURL], ids=["body", "curl"])
@pytest.mark.parametrize(
    ("target", "activated"),
    [
        ("customerActivation?Preview=true&showzerodollarcharges=true&view=sideeffects", False),
        ("customerActivation", True),
        ("customerActivation?view=sideeffects", True),
        ("CustomerActivation?preview=true", False),
        ("CustomerActivation?preview=false", True),
    ],
)
async def test_the_page_of_activating(fusebill: FusebillSimulator, target: str, activated: bool, body: bytes) -> None:
    fusebill.add_customer(id=8708457, status="Draft")
    answer = await ask(fusebill, "POST", f"/v1/{target}", body, headers=JSON)
    assert answer.status == 200
    assert answer.json["status"] == ("Active" if activated else "Draft")
    assert ("invoicePreview" in answer.json) is not activated
    assert fusebill.effects("activate", 8708457) == activated


@pytest.mark.parametrize(
    ("body", "customer_id", "status"),
    [(UPDATE_CURL, 12000750, "Active"), (UPDATE_C_SHARP, 169458, "Cancelled"), (UPDATE_PYTHON, 183365, "Active")],
    ids=["curl", "C#", "Python"],
)
async def test_the_page_of_updating(fusebill: FusebillSimulator, body: bytes, customer_id: int, status: str) -> None:
    fusebill.add_customer(id=customer_id, status="Active", middle_name="Reeves")
    sent = {key[:1].lower() + key[1:]: value for key, value in json.loads(strict(body.decode())).items()}
    answer = await ask(fusebill, "PUT", "/v1/customers", body, headers=JSON)
    assert (answer.status, answer.json["status"]) == (200, status)
    assert {key: answer.json[key] for key in ("firstName", "lastName")} == {
        key: sent[key] for key in ("firstName", "lastName")
    }
    # "The system will nullify fields that are not included."
    assert answer.json["middleName"] == sent.get("middleName")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a:1}", {"a": 1}),
        ("{'a':'it\\'s'}", {"a": "it's"}),
        ("{'a':'say \"hi\"', b : [1, 2,], }", {"a": 'say "hi"', "b": [1, 2]}),
        ('{"a":"it\'s {b:1}, \\"so\\""}', {"a": 'it\'s {b:1}, "so"'}),
        ("{'a':'\\u00e9\\n\\\\'}", {"a": "é\n\\"}),
        ("{a:{b:[{c:null}]},d:true,e:-1.50e2}", {"a": {"b": [{"c": None}]}, "d": True, "e": -150.0}),
    ],
)
def test_lenient_json_is_read_as_it_is_meant(text: str, value: object) -> None:
    assert json.loads(strict(text)) == value


@pytest.mark.parametrize("text", ["{a:}", "{a:b}", "{a 1}", "{'a:1}", "[1]", "", "{'a':1", '{"a":"b', "{{}:1}", "{,}"])
async def test_what_is_no_json_in_any_way_is_refused(fusebill: FusebillSimulator, text: str) -> None:
    fusebill.add_customer(id=1)
    answer = await ask(fusebill, "PUT", "/v1/customers", text.encode(), headers=JSON)
    assert answer.status == 400
    assert fusebill.effects("update", 1) == 0
