"""What moves money asks at a terminal, and every write can be rehearsed."""

from __future__ import annotations

import json

import pytest

from fusebill_async.operations import OPERATIONS
from tests.cli.terminals import at_a_terminal
from tests.cli.test_cli_table import ACTIVE, CALLS, customers, words

__all__ = ["customers"]

ASKED = {
    "cancel": ["cancel", "2", "--cancellation-option", "None"],
    "activate": ["activate", "1", "--all-subscriptions", "--all-draft-purchases", "--disable-auto-post"],
    "release_hold": ["release-hold", "3", "--service-start-option", "NoChargesForMissedPeriods"],
}
WRITES = [operation for operation in OPERATIONS if operation.writes]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"\n", 1), (b"no\n", 1), (b"\x04", 1), (b"\x03", 130)])
async def test_a_person_is_asked(start, fusebill, customers, name, answer, code):
    seen = await at_a_terminal(start, *ASKED[name], typed={"[y/N]": answer})
    assert seen.code == code
    assert "Example Company" in seen.text.partition("[y/N]")[0]
    assert fusebill.effects(name) == (code == 0)


@pytest.mark.parametrize("name", ASKED)
async def test_yes_answers_before(start, fusebill, customers, name):
    seen = await at_a_terminal(start, *ASKED[name], "--yes")
    assert (seen.code, "[y/N]" in seen.text) == (0, False)
    assert fusebill.effects(name) == 1


async def test_a_question_shows_what_will_not_work(start, fusebill, customers):
    seen = await at_a_terminal(start, "cancel", "4", "77", *ASKED["cancel"][2:], typed={"[y/N]": b"n\n"})
    assert "works from Draft, Active, Hold or Suspended" in " ".join(seen.text.split())
    assert "Customer with id 77 not found" in seen.text
    assert fusebill.effects("cancel") == 0


async def test_ids_in_a_pipe_leave_the_terminal_for_the_answer(start, fusebill, customers):
    command = ["cancel", "-", *ASKED["cancel"][2:]]
    seen = await at_a_terminal(start, *command, stdin=b"1 2", typed={"[y/N]": b"n\n"})
    assert (seen.code, fusebill.effects("cancel")) == (1, 0)
    seen = await at_a_terminal(start, *command, stdin=b"1 2", typed={"[y/N]": b"yes\n"})
    assert (seen.code, fusebill.effects("cancel")) == (0, 2)


@pytest.mark.parametrize("name", ASKED)
async def test_a_script_is_not_asked(cli, fusebill, customers, name):
    assert (await cli(*ASKED[name])).code == 0
    assert fusebill.effects(name) == 1


async def test_a_hold_is_not_asked_for(start, fusebill, customers):
    seen = await at_a_terminal(start, "hold", "2")
    assert (seen.code, fusebill.effects("hold")) == (0, 1)


@pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.title)
async def test_a_rehearsal_shows_what_is_then_sent(operation, cli, fusebill, customers, tmp_path):
    arguments, status = CALLS[operation.title]
    if "FILE" in arguments:
        whole = tmp_path / "customer.json"
        whole.write_bytes(fusebill.customer_bytes(ACTIVE).replace(b'"Lee"', b'"Leo"'))
        arguments = [str(whole)]
    line = [*words(operation), *arguments]

    shown = await cli(*line, "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    assert "Nothing was sent." in shown.out
    planned = await cli(*line, "--dry-run", "--json")
    assert (planned.code, planned.object["outcome"], planned.object["dry_run"]) == (0, "not_sent", True)
    assert planned.object["operation"] == operation.title
    assert planned.object["allowed"] is True
    assert planned.object["leads_to"] == operation.leads_to
    assert {request.method for request in fusebill.requests} <= {"GET"}

    done = await cli(*line, "--json")
    assert (done.code, done.object["customer"]["status"]) == (0, status)
    sent = next(request for request in fusebill.requests if request.method != "GET")
    assert (planned.object["method"], f"/v1{planned.object['path']}") == (sent.method, sent.target)
    assert planned.object["body"] == (json.loads(sent.body) if sent.body else None)
    if "changes" in done.object:
        assert planned.object["changes"] == done.object["changes"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["hold", "1"], "It is Draft, and this works from Active: the service would refuse it."),
        (["cancel", "4", *ASKED["cancel"][2:]], "It is Cancelled"),
        (["activate", "2", *ASKED["activate"][2:]], "works from Draft"),
    ],
)
async def test_a_rehearsal_tells_what_the_service_would_refuse(cli, fusebill, customers, line, told):
    shown = await cli(*line, "--dry-run")
    assert (shown.code, told in shown.out) == (1, True)
    planned = await cli(*line, "--dry-run", "--json")
    assert (planned.code, planned.object["allowed"]) == (1, False)


async def test_a_rehearsal_leads_to_the_preview(cli, customers):
    shown = await cli(*ASKED["activate"], "--dry-run")
    assert "fusebill-async preview 1 shows what it would invoice." in shown.out


async def test_a_request_can_be_rehearsed(cli, fusebill):
    planned = await cli("request", "POST", "/customerNotes", "-q", "a=b", "--dry-run", "--json")
    assert (planned.code, planned.object["method"], planned.object["path"]) == (0, "POST", "/customerNotes?a=b")
    refused = await cli("request", "GET", "/plans", "--dry-run")
    assert (refused.code, "is for what writes" in refused.err) == (2, True)
    assert not fusebill.requests


async def test_all_items_have_to_be_named(cli, fusebill, customers):
    for line in (["activate-items", "2"], ["activate-items", "2", "--all", "--purchase-id", "7"]):
        ran = await cli(*line)
        assert (ran.code, "--subscription-id, --purchase-id or --all" in ran.err) == (2, True)
    assert not fusebill.requests
    assert (await cli("preview-activate-items", "2")).code == 0
    assert (await cli("activate-items", "2", "--all")).code == 0
    assert fusebill.effects("activate_items", 2) == 1
