"""What the commands print, and how they end."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import sys

import pytest

from fusebill_async import SettlingPolicy
from fusebill_async.cli import connection, main
from fusebill_async.testing import Fault

FLAGS = ["--all-subscriptions", "--all-draft-purchases", "--no-disable-auto-post"]


async def test_get_prints_the_bytes_that_came(cli, fusebill):
    fusebill.add_customer(id=1, raw={"rate": b"1e2", "zero": b"-0", "monthlyRecurringRevenue": b"10.000000"})
    ran = await cli("get", "1", "--json")
    assert ran.code == 0
    assert ran.out.encode() == fusebill.customer_bytes(1) + b"\n"


async def test_a_write_tells_its_outcome_and_keeps_literals(cli, fusebill):
    fusebill.add_customer(id=1, raw={"rate": b"1e2"})
    ran = await cli("hold", "1", "--json")
    assert ran.code == 0
    assert '"rate":1e2' in ran.out
    assert '"monthlyRecurringRevenue":25.9800' in ran.out
    found = ran.object
    assert [found[key] for key in ("outcome", "status", "confirmed_by", "attribution", "customer_id")] == [
        "applied", 200, "response", "ours", 1,
    ]  # fmt: skip
    assert found["customer"]["status"] == "Hold"
    assert [attempt["status"] for attempt in found["attempts"]] == [200]


async def test_a_lost_answer_is_settled_and_told(cli, fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate", times=1))
    ran = await cli("activate", "1", *FLAGS)
    assert ran.code == 0
    assert "applied" in ran.out
    assert "confirmed by reading the customer; who caused it cannot be proven; 1 attempt" in ran.out
    assert "reading the customer to learn what happened" in ran.err
    assert fusebill.effects("activate", 1) == 1


async def test_not_applied_ends_with_1_and_says_what_to_do(cli, fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_before_effect(operation="activate", times=1))
    ran = await cli("activate", "1", *FLAGS)
    assert ran.code == 1
    assert "not applied  customers.activate of customer 1" in ran.err
    assert "fusebill-async get 1" in ran.err
    assert fusebill.effects("activate", 1) == 0


async def test_resend_sends_it_again(cli, fusebill):
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_before_effect(operation="activate", times=1))
    ran = await cli("activate", "1", *FLAGS, "--resend", "--json")
    assert (ran.code, ran.object["outcome"]) == (0, "applied")
    assert fusebill.effects("activate", 1) == 1


async def test_activate_needs_its_three_flags(cli, fusebill):
    fusebill.add_customer(id=1, status="Draft")
    names = ["--[no-]all-subscriptions", "--[no-]all-draft-purchases", "--[no-]disable-auto-post"]
    for missing in range(3):
        ran = await cli("activate", "1", *FLAGS[:missing], *FLAGS[missing + 1 :])
        assert ran.code == 2
        assert f"activate needs {names[missing]}\n" in ran.err
    ran = await cli("activate")
    assert ran.code == 2
    assert "activate needs ID, " + " and ".join([", ".join(names[:2]), names[2]]) in ran.err
    assert not fusebill.requests


async def test_a_refusal_is_two_lines(cli, fusebill):
    fusebill.add_customer(id=1, status="Cancelled")
    ran = await cli("hold", "1")
    assert (ran.code, ran.out) == (1, "")
    first, second = ran.err.splitlines()
    assert first.startswith("rejected  customers.hold of customer 1: 400: ")
    assert "Active" in first + second
    assert second.endswith("fusebill-async get 1")


async def test_a_refusal_is_an_object_too(cli):
    ran = await cli("hold", "77", "--json")
    assert (ran.code, ran.err) == (1, "")
    found = ran.object
    assert (found["outcome"], found["error"], found["status"]) == ("rejected", "NotFoundError", 404)
    assert found["errors"] == [{"key": "Api Error", "value": "Customer with id 77 not found."}]
    assert len(found["attempts"]) == 1


@pytest.mark.parametrize("given", ["0", "1.5", "x", "9223372036854775808", "-1", "1_000", "0x10", "\u0663"])
async def test_what_is_no_id_is_refused(cli, fusebill, given):
    ran = await cli("get", given)
    assert ran.code == 2
    assert ran.out == ""
    assert not fusebill.requests


@pytest.mark.parametrize("words", [["bogus"], ["get"], ["get", "1", "--bogus"], ["hubspot", "bogus"]])
async def test_usage_ends_with_2(cli, words):
    ran = await cli(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage  ")
    ran = await cli(*words, "--json")
    assert (ran.code, ran.object["error"]) == (2, "UsageError")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("FUSEBILL_API_KEY", None, "FUSEBILL_API_KEY is not set"),
        ("FUSEBILL_API_KEY", "", "empty"),
        ("FUSEBILL_API_KEY", "a\nb", "line break"),
        ("FUSEBILL_BASE_URL", "http://example.com/v1", "https"),
        ("FUSEBILL_BASE_URL", "https://example.com", "/v1"),
    ],
)
async def test_configuration_ends_with_2(cli, monkeypatch, name, value, told):
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    ran = await cli("get", "1")
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    ran = await cli("get", "1", "--json")
    assert (ran.code, ran.object["error"]) == (2, "ConfigurationError")


@pytest.mark.parametrize("words", [[], ["get"], ["list"], ["simulate"], ["activate"]], ids=str)
async def test_the_key_is_never_an_option(cli, words):
    ran = await cli(*words, "--help")
    assert ran.code == 0
    # The simulator's own key is made up, and its help says so. An idempotency key is no secret.
    allowed = {"--api-key"} if words == ["simulate"] else set()
    assert {found[0] for found in re.finditer(r"--\S*(?:key|token|url)", ran.out)} - {"--idempotency-key"} == allowed
    assert not allowed or "no place for a real one" in " ".join(re.sub("[^ -~]", " ", ran.out).split())


async def test_update_shows_the_difference(cli, fusebill):
    fusebill.add_customer(id=1, middle_name="Lee", company_name="Old", raw={"rate": b"1e2"})
    assignments = ["companyName=Grok Ltd", "customer_reference.reference1=A-1", "suffix=", "--null", "middle_name"]

    planned = await cli("update", "1", *assignments, "--dry-run", "--json")
    assert planned.code == 0
    assert (planned.object["outcome"], planned.object["dry_run"]) == ("not_sent", True)
    assert fusebill.effects("update", 1) == 0

    ran = await cli("update", "1", *assignments)
    assert ran.code == 0
    assert re.search(r'company_name +"Old" +-> "Grok Ltd"', ran.out)
    assert re.search(r'middle_name +"Lee" +-> null', ran.out)
    customer = fusebill.customer(1)
    assert (customer["companyName"], customer["middleName"], customer["suffix"]) == ("Grok Ltd", None, "")
    assert customer["customerReference"]["reference1"] == "A-1"
    assert customer["customerReference"]["reference2"] == "customValue"
    assert b'"rate":1e2' in fusebill.customer_bytes(1)

    again = await cli("update", "1", *assignments, "--json")
    assert (again.code, again.object["changes"]) == (0, [])
    assert fusebill.effects("update", 1) == 1


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        ([], "no field is named"),
        (["foo"], "no field=value"),
        (["compny_name=x"], "did you mean company_name"),
        (["company_name=x", "companyName=y"], "named twice"),
        (["parent_id=x"], "whole number"),
        (["customer_reference=x"], "fields of its own"),
        (["company_name.x=1"], "no fields of its own"),
        (["customer_reference.sales_tracking_codes=x"], "JSON list"),
        (["status=Hold"], "--allow-status-change"),
        (["first_name=" + "x" * 51], "50 characters"),
        (["id=3"], "set by the service"),
    ],
)
async def test_fields_that_cannot_be_sent(cli, fusebill, assignments, told):
    fusebill.add_customer(id=1)
    ran = await cli("update", "1", *assignments)
    assert ran.code == 2
    assert told in ran.err
    assert fusebill.effects("update") == 0


async def test_sales_tracking_codes_are_a_json_list(cli, fusebill):
    fusebill.add_customer(id=1)
    ran = await cli(
        "update", "1", 'customer_reference.sales_tracking_codes=[{"type":"Sales Tracking Code 1","code":"E"}]'
    )
    assert ran.code == 0
    assert fusebill.customer(1)["customerReference"]["salesTrackingCodes"][0]["code"] == "E"


async def test_replace_erases_only_what_is_allowed(cli, fusebill, tmp_path):
    fusebill.add_customer(id=1, middle_name="Lee")
    file = tmp_path / "customer.json"
    file.write_bytes(fusebill.customer_bytes(1).replace(b'"middleName":"Lee",', b""))
    ran = await cli("replace", str(file))
    assert ran.code == 1
    assert "middle_name" in ran.err
    ran = await cli("replace", str(file), "--allow-erase", "middle_name")
    assert ran.code == 0
    assert fusebill.customer(1)["middleName"] is None


async def test_preview_shows_the_invoice_and_changes_nothing(cli, fusebill):
    fusebill.add_customer(id=1, status="Draft")
    ran = await cli("preview", "1", "--show-zero-dollar-charges")
    assert ran.code == 0
    assert "29.3574" in ran.out
    assert "Free add-on" in ran.out
    assert not fusebill.effects_log


async def test_a_latch_sends_only_what_was_given(cli, fusebill):
    fusebill.add_customer(id=1, hubspot_id=5, hubspot_company_id=6)
    assert (await cli("hubspot", "latch", "1", "--hubspot-id", "7")).code == 0
    assert (await cli("hubspot", "latch", "1", "--hubspot-id", "8", "--null", "hubspot-company-id")).code == 0
    one, both = (json.loads(request.body) for request in fusebill.requests if request.method == "POST")
    assert one == {"fusebillId": 1, "hubSpotId": 7}
    assert both == {"fusebillId": 1, "hubSpotId": 8, "hubSpotCompanyId": None}
    assert (await cli("hubspot", "latch", "1")).code == 2


async def test_a_name_cannot_act_on_the_terminal(cli, fusebill):
    fusebill.add_customer(id=1, company_name="a\x1b[31mred\x07 [bold]b[/bold]")
    for words in (["get", "1"], ["hold", "1"], ["list"], ["update", "1", "suffix=x"]):
        ran = await cli(*words)
        assert ran.code == 0
        assert "\x1b" not in ran.out
        assert "\x07" not in ran.out
    assert "[bold]b[/bold]" in (await cli("get", "1")).out


async def test_list_gives_everything_in_each_form(cli, fusebill):
    for number in range(1, 131):
        fusebill.add_customer(id=number, status="Hold" if number % 2 else "Draft", raw={"rate": b"1e2"})
    table = await cli("list")
    assert (table.code, table.err) == (0, "")
    assert len(table.out.splitlines()) == 131
    assert len((await cli("list", "--limit", "7")).out.splitlines()) == 8

    whole = await cli("list", "--json")
    assert [customer["id"] for customer in whole.object] == [*range(1, 131)]
    assert whole.out == (await cli("list", "-o", "json")).out

    lines = await cli("list", "-o", "jsonl", "--where", "status=Hold")
    assert len(lines.out.splitlines()) == 65
    assert all(json.loads(line)["status"] == "Hold" for line in lines.out.splitlines())
    assert lines.out.count('"rate":1e2') == 65

    text = await cli(
        "list", "--format", "csv", "--columns", "id,monthly_recurring_revenue,customer_reference.reference2",
        "--sort", "-id", "--limit", "2",
    )  # fmt: skip
    assert list(csv.reader(io.StringIO(text.out))) == [
        ["id", "monthly_recurring_revenue", "customer_reference.reference2"],
        ["130", "25.9800", "customValue"],
        ["129", "25.9800", "customValue"],
    ]


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "json"])
async def test_a_list_that_lacks_customers_is_printed_and_fails(cli, fusebill, form):
    body = '[{"id":12000750,"status":"Active"}]'
    fusebill.inject(Fault.status(200, body=body, headers={"X-Count": "7"}, operation="customers.list", times=None))
    ran = await cli("list", "--format", form)
    assert ran.code == 1
    assert "12000750" in ran.out
    # What was printed is whole, and the error is no part of it.
    assert "the service counts 6 more" in ran.err
    if form == "json":
        assert [customer["id"] for customer in ran.object] == [12000750]


@pytest.mark.parametrize(
    ("condition", "query"),
    [
        ("id=1,2", "id:1,2"),
        ("status=Active,Hold", "Status:Active,Hold"),
        ("created_timestamp=2004-01-01|", "CreatedTimestamp:2004-01-01T00:00:00|"),
        ("net_mrr=10.5|20", "NetMRR:10.5|20"),
        ("netsuite_id=1744*", "NetSuiteId:1744*"),
        ("title=", "Title:[empty]"),
    ],
)
async def test_a_condition_is_in_the_apis_own_form(cli, fusebill, condition, query):
    assert (await cli("list", "--where", condition)).code == 1
    assert fusebill.requests[-1].query["query"] == query


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--where", "bogus=1"], "bogus"),
        (["--where", "status"], "name=value"),
        (["--where", "status=Nope"], "Draft"),
        (["--where", "arbalance=x|"], "number"),
        (["--columns", "company"], "did you mean"),
        (["--where", "status=Hold", "--query", "status:Hold"], "not both"),
        (["--sort", "bogus"], "bogus"),
        (["--limit", "0"], "--limit"),
    ],
)
async def test_list_refuses_what_it_cannot_send(cli, fusebill, options, told):
    ran = await cli("list", *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert not fusebill.requests


async def test_find(cli, fusebill):
    fusebill.add_customer(id=1, reference="A-1")
    fusebill.add_customer(id=2, reference="A-1")
    for form in (["--json"], ["-o", "jsonl"], ["-o", "csv"], []):
        found = await cli("find", "--reference", "A-1", *form)
        assert (found.code, found.out) == (0, (await cli("list", "--where", "reference=A-1", *form)).out)
        none = await cli("find", "--reference", "A-2", *form)
        assert (none.code, none.out) == (1, (await cli("list", "--where", "reference=A-2", *form)).out)
        assert none.err == "No customer matches.\n"


async def test_no_connection_is_told_in_two_lines(cli, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FUSEBILL_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        ran = await cli("hold", "1")
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 2
    assert ran.err.startswith("not sent  ")


async def test_missing_libraries_are_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    for name in [name for name in sys.modules if name.startswith("fusebill_async.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["--version"]) == 2
    assert "pip install 'fusebill-async[cli]'" in capsys.readouterr().err


async def test_version_and_help(cli):
    ran = await cli("--version")
    assert ran.code == 0
    assert re.fullmatch(r"fusebill-async \d+\.\d+\.\d+\S*\n", ran.out)
    ran = await cli("--help")
    assert ran.code == 0
    assert "FUSEBILL_API_KEY" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


async def test_what_the_service_says_cannot_act_on_the_terminal(cli, fusebill):
    fusebill.add_customer(id=1, status="Active")
    words = "bad \x1b[31mred\x07"
    body = json.dumps({"ErrorId": 0, "HttpStatusCode": 400, "Errors": [{"Key": "Api Error", "Value": words}]})
    fusebill.inject(Fault.status(400, body=body, operation="hold"))
    ran = await cli("hold", "1")
    assert ran.code == 1
    assert "red" in ran.err
    assert not {"\x1b", "\x07"} & set(ran.err)


async def test_resend_creates_it_again(cli, fusebill, monkeypatch):
    monkeypatch.setattr(connection, "SETTLING", SettlingPolicy(first_read=0.01, quiet_period=0.05))
    fusebill.inject(Fault.reset_before_effect(operation="create"))
    ran = await cli("create", "reference=A-1", "company_name=Grok", "--resend")
    assert (ran.code, fusebill.effects("create")) == (0, 1)
