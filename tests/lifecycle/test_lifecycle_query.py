"""The query of a list from Python values."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum

import pytest

from fusebill_async import Status, ValidationError
from fusebill_async.wire.query import FILTERS, build_query


class Kind(str, Enum):  # noqa: UP042 (whose str() is not its value)
    """A choice as a user may have it."""

    OPEN = "Open"
    HOLD = "Hold"


START = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
IN_TORONTO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(-timedelta(hours=5)))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (None, None),
        ({}, None),
        ("", None),
        ("reference:A-1;status:Active", "reference:A-1;status:Active"),
        ({"status": "Active"}, "Status:Active"),
        ({"STATUS": "hold"}, "Status:Hold"),
        ({"Status": Status.DRAFT}, "Status:Draft"),
        ({"status": ["Active", "Hold"]}, "Status:Active,Hold"),
        ({"status": {"Hold", "Active"}}, "Status:Active,Hold"),
        ({"status": frozenset({Status.HOLD})}, "Status:Hold"),
        ({"company_name": "Gro*"}, "CompanyName:Gro*"),
        ({"companyName": "Grok Ltd & Söhne (2)"}, "CompanyName:Grok Ltd & Söhne (2)"),
        ({"CompanyName": None}, "CompanyName:[empty]"),
        ({"company_name": "x", "status": "Hold"}, "CompanyName:x;Status:Hold"),
        ({"customer_reference.reference1": "a"}, "CustomerReference.Reference1:a"),
        ({"customer_reference": {"reference1": "a"}}, "CustomerReference.Reference1:a"),
        (
            {"customerReference.salesTrackingCode3.code": "EU"},
            "CustomerReference.SalesTrackingCode3.Code:EU",
        ),
        ({"customer_acquisition.ad_content": "x"}, "CustomerAcquisition.AdContent:x"),
        ({"created_timestamp": (START, None)}, "CreatedTimestamp:2026-01-02T03:04:05|"),
        ({"created_timestamp": (None, START)}, "CreatedTimestamp:|2026-01-02T03:04:06"),
        (
            {"modified_timestamp": (date(2026, 1, 1), IN_TORONTO)},
            "ModifiedTimestamp:2026-01-01T00:00:00|2026-01-02T08:04:05",
        ),
        ({"created_timestamp": date(2026, 1, 1)}, "CreatedTimestamp:2026-01-01T00:00:00"),
        (
            {"created_timestamp": ("2026-01-01", "2026-02-01T05:00Z")},
            "CreatedTimestamp:2026-01-01T00:00:00|2026-02-01T05:00:00",
        ),
        ({"created_timestamp": datetime(26, 1, 2)}, "CreatedTimestamp:0026-01-02T00:00:00"),  # noqa: DTZ001 (read as UTC)
        ({"monthly_recurring_revenue": (Decimal("25.9800"), 100)}, "MonthlyRecurringRevenue:25.9800|100"),
        ({"net_mrr": Decimal("1E+3")}, "NetMRR:1000"),
        ({"parent_id": [3, 1]}, "ParentId:3,1"),
        ({"netsuite_id": "1744203"}, "NetSuiteId:1744203"),
        ({"quickbooks_id": 7}, "QuickBooksId:7"),
        ({"quickbooks_latch_type_id": "LatchExisting"}, "QuickBooksLatchTypeId:LatchExisting"),
        ({"currency_id": 24}, "CurrencyId:24"),
        ({"netsuite_entity_type": [1, 2]}, "NetsuiteEntityType:1,2"),
        ({"reference": 100986}, "Reference:100986"),
        ({"reference": True}, "Reference:true"),
        ({"id": [1, 2]}, "id:1,2"),
        ({"ID": {12000750}}, "id:12000750"),
        ({"id": "123,456,789"}, "id:123,456,789"),
        ({"id": "7"}, "id:7"),
        ({"quickbooks_sync_token": [0, 3]}, "QuickBooksSyncToken:0,3"),
        ({"netsuite_id": "1744*"}, "NetSuiteId:1744*"),
        ({"salesforce_id": "0014*"}, "SalesforceId:0014*"),
        ({"status": "Active,Hold"}, "Status:Active,Hold"),
        ({"status": "active, hold"}, "Status:Active,Hold"),
        ({"currency_id": "1,24"}, "CurrencyId:1,24"),
        (
            {"created_timestamp": "2004-01-01|2007-01-01"},
            "CreatedTimestamp:2004-01-01T00:00:00|2007-01-01T00:00:00",
        ),
        ({"created_timestamp": "2004-01-01|"}, "CreatedTimestamp:2004-01-01T00:00:00|"),
        ({"net_mrr": "|99.50"}, "NetMRR:|99.50"),
        ({"net_mrr": "10"}, "NetMRR:10"),
        ({"reference": Kind.OPEN}, "Reference:Open"),
        ({"status": Kind.HOLD}, "Status:Hold"),
        (
            {"company_name": "Soci\u00e9t\u00e9\u00a0G\u00e9n\u00e9rale"},
            "CompanyName:Soci\u00e9t\u00e9\u00a0G\u00e9n\u00e9rale",
        ),
        ({"company_name": "\u0645\u06cc\u200c\u062e"}, "CompanyName:\u0645\u06cc\u200c\u062e"),
        ({"company_name": "\U0001f468\u200d\U0001f469"}, "CompanyName:\U0001f468\u200d\U0001f469"),
        ({"company_name": "a\u2028b"}, "CompanyName:a\u2028b"),
    ],
)
def test_a_query_is_built(query, text):
    assert build_query(query) == text


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ({"statuss": "Active"}, "query", "did you mean Status"),
        ({"customer_account_status": "Good"}, "query", "did you mean AccountStatus"),
        ({"customer_reference": {"reference4": "x"}}, "query", "did you mean CustomerReference.Reference"),
        ({"": "x"}, "query", "no name"),
        ({"status": "Actve"}, "query.status", "did you mean Active"),
        ({"status": "Act*"}, "query.status", "must be one of"),
        ({"status": []}, "query.status", "empty"),
        ({"status": ["Active", None]}, "query.status", "must be one of"),
        ({"status": ("Active", "Hold")}, "query.status", "use a list"),
        ({"status": True}, "query.status", "must be one of"),
        ({"currency_id": 25}, "query.currency_id", "must be one of"),
        ({"company_name": "a:b"}, "query.company_name", "cannot escape"),
        ({"company_name": "a;status:Hold"}, "query.company_name", "cannot escape"),
        ({"company_name": "a,b"}, "query.company_name", "cannot escape"),
        ({"company_name": "a|b"}, "query.company_name", "cannot escape"),
        ({"company_name": "a\nb"}, "query.company_name", "cannot escape"),
        ({"company_name": ""}, "query.company_name", "None finds"),
        ({"company_name": "[empty]"}, "query.company_name", "use None"),
        ({"company_name": ["a", "b"]}, "query.company_name", "one value"),
        ({"company_name": 1.5}, "query.company_name", "float"),
        ({"parent_id": "1*"}, "query.parent_id", "wildcard"),
        ({"id": "one"}, "query.id", "whole number"),
        ({"id": [1, True]}, "query.id", "whole number"),
        ({"id": -1}, "query.id", "whole number"),
        ({"id": "1,,2"}, "query.id", "whole number"),
        ({"id": []}, "query.id", "empty"),
        ({"quickbooks_sync_token": "3*"}, "query.quickbooks_sync_token", "wildcard"),
        ({"status": "Active,Actve"}, "query.status", "did you mean Active"),
        ({"created_timestamp": "2004-01-01|2005-01-01|2006-01-01"}, "query.created_timestamp", "ISO 8601"),
        ({"created_timestamp": "|"}, "query.created_timestamp", "at least one"),
        ({"net_mrr": "ten"}, "query.net_mrr", "Decimal"),
        ({"net_mrr": "1,2"}, "query.net_mrr", "Decimal"),
        ({"company_name": "a\x7fb"}, "query.company_name", "cannot escape"),
        ({"company_name": "a\ud83d"}, "query.company_name", "cannot escape"),
        ({"parent_id": (1, 2)}, "query.parent_id", "use a list"),
        ({"created_timestamp": "yesterday"}, "query.created_timestamp", "ISO 8601"),
        ({"created_timestamp": 7}, "query.created_timestamp", "datetime"),
        ({"created_timestamp": (None, None)}, "query.created_timestamp", "at least one"),
        ({"created_timestamp": (START,)}, "query.created_timestamp", "pair"),
        ({"created_timestamp": [START]}, "query.created_timestamp", "one value"),
        ({"net_mrr": 1.5}, "query.net_mrr", "Decimal"),
        ({"net_mrr": Decimal("NaN")}, "query.net_mrr", "finite"),
        ({"net_mrr": True}, "query.net_mrr", "Decimal"),
        ({"status": "Hold", "STATUS": "Hold"}, "query.STATUS", "twice"),
        (["status"], "query", "dict or a text"),
    ],
)
def test_what_a_query_cannot_hold_is_refused(query, field, says):
    with pytest.raises(ValidationError, match=says) as caught:
        build_query(query)
    assert caught.value.field == field


@pytest.mark.parametrize("name", sorted(one.name for one in FILTERS.values()))
async def test_the_service_knows_the_name(fusebill, client, name):
    fusebill.add_customer()
    async for _ in client.customers.list({name: None}):
        pass
    assert fusebill.requests[-1].query["query"] == f"{name}:[empty]"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": ["Active", "Hold"]}, [1, 2]),
        ({"company_name": "Gro*"}, [1, 3]),
        ({"company_name": "Gro*", "status": "Draft"}, [3]),
        ({"created_timestamp": (datetime(2026, 1, 1, tzinfo=UTC), None)}, [2, 3]),
        ({"created_timestamp": (None, datetime(2026, 1, 2, tzinfo=UTC))}, [1]),
        ({"monthly_recurring_revenue": (Decimal("10.5"), Decimal(20))}, [2]),
        ({"customer_reference": {"reference1": "é 1"}}, [3]),
        ({"customer_reference.reference1": None}, [1, 2]),
        ("status:Draft", [3]),
    ],
)
async def test_a_query_finds_what_it_says(fusebill, client, query, found):
    rows = [
        ("Grok Ltd", "Active", datetime(2025, 1, 1, tzinfo=UTC), Decimal("10.4999"), None),
        ("Other", "Hold", datetime(2026, 1, 2, tzinfo=UTC), Decimal("10.5000"), None),
        ("Grove", "Draft", datetime(2026, 1, 3, tzinfo=UTC), Decimal("20.0000"), "é 1"),
    ]
    for name, status, created, revenue, reference in rows:
        fusebill.add_customer(
            company_name=name,
            status=status,
            created_timestamp=created,
            monthly_recurring_revenue=revenue,
            customer_reference={"reference1": reference},
        )
    assert [customer.id async for customer in client.customers.list(query=query)] == found
