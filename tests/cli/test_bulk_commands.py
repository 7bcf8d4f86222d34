"""`bulk` as a person and a script use it: plan, run, stop, resume, report."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from fusebill_async.testing import Fault
from tests.cli.terminals import at_a_terminal

COUNT = 60


@pytest.fixture
def ids(fusebill, tmp_path, monkeypatch):
    """A file of customers, one of whom cannot be held."""
    for each in range(1, COUNT + 1):
        fusebill.add_customer(id=each, status="Cancelled" if each == 50 else "Active", companyName=f"C{each}")
    (tmp_path / "in.csv").write_text("id\n" + "".join(f"{each}\n" for each in range(1, COUNT + 1)))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in.csv"


RUN = ("bulk", "run", "hold", "in.csv", "--journal", "j.sqlite")


# --- plan


async def test_a_plan_for_people(cli, fusebill, ids):
    ran = await cli("bulk", "plan", "hold", "in.csv", "--journal", "j.sqlite")
    assert ran.code == 0
    assert "customers.hold  60 items" in ran.out
    assert "POST /CustomerHold/1\n" in ran.out
    assert re.search(r"\nquota +[\d,]+ left this minute, [\d,]+ today *\n", ran.out)
    assert re.search(r"\ntakes +0:00:00, until 20\d\d-\d\d-\d\d \d\d:\d\d *\n", ran.out)
    assert fusebill.effects("hold") == 0


async def test_a_plan_for_programs(cli, ids):
    ids.write_text(ids.read_text() + "1\nx\n")
    ran = await cli("bulk", "plan", "hold", "in.csv", "--journal", "j.sqlite", "--json")
    assert ran.code == 2  # it cannot be run as it is
    assert (ran.object["items"], ran.object["duplicates"], ran.object["bad_rows"]) == (61, 1, 1)
    assert ran.object["examples"][0]["reason"].startswith("line 63: 'x' is no id")
    assert ran.object["first_requests"][0] == {"method": "POST", "target": "/CustomerHold/1", "body": None}


async def test_a_plan_of_an_update_says_what_is_erased(cli, ids):
    ids.write_text("id,company_name,primary_email\n1,Grok,\n2,\\N,a@example.com\n")
    ran = await cli("bulk", "plan", "update", "in.csv", "--journal", "j.sqlite")
    assert ran.code == 0
    assert "erases            company_name in 1 rows" in ran.out
    assert "leaves alone      primary_email in 1 rows" in ran.out
    assert 'PUT /customers  {"id":1,"companyName":"Grok"}' in ran.out


async def test_a_field_that_is_none_is_a_bad_row(cli, ids):
    ids.write_text("id,colour\n1,red\n")
    ran = await cli("bulk", "run", "update", "in.csv", "--journal", "j.sqlite", "--yes")
    assert ran.code == 2
    assert "colour is not a field" in ran.err


# --- run


async def test_run_without_a_terminal_needs_yes(cli, fusebill, ids):
    ran = await cli(*RUN)
    assert ran.code == 2
    assert "add --yes" in ran.err
    assert fusebill.effects("hold") == 0


async def test_run_and_report(cli, fusebill, ids):
    ran = await cli(*RUN, "--yes")
    assert ran.code == 1
    assert ran.out.startswith("customers.hold: 59 of 60 applied; 1 refused\n")
    assert "--retry rejected --message" in ran.out
    assert fusebill.effects("hold") == 59
    ran = await cli("bulk", "report", "-j", "j.sqlite", "--json")
    assert ran.code == 1
    assert ran.object == {
        "applied": 59, "rejected": 1, "not_applied": 0, "unknown": 0, "skipped": 0, "unprocessed": 0,
    }  # fmt: skip
    ran = await cli("bulk", "report", "-j", "j.sqlite", "-o", "csv")
    items = list(csv.DictReader(io.StringIO(ran.out)))
    assert (len(items), items[49]["tally"], items[49]["status"]) == (60, "rejected", "400")
    ran = await cli("bulk", "report", "-j", "j.sqlite", "-o", "jsonl")
    assert json.loads(ran.out.splitlines()[0])["customer_id"] == 1
    ran = await cli("bulk", "status", "-j", "j.sqlite")
    assert ran.out == "customers.hold: 59 of 60 applied; 1 refused\n"
    # The same once more does nothing.
    assert (await cli(*RUN, "--yes")).code == 1
    assert fusebill.received("hold") == 60


async def test_json_is_the_tallies_alone(cli, ids):
    ran = await cli(*RUN, "--yes", "--json", "--progress", "none")
    assert ran.object["applied"] == 59


async def test_bad_rows_stop_it_or_are_set_aside(cli, fusebill, ids):
    ids.write_text("id\n1\n1.2E+07\n")
    ran = await cli(*RUN, "--yes")
    assert ran.code == 2
    assert "line 3: '1.2E+07' is no id" in ran.err
    assert fusebill.effects("hold") == 0
    ran = await cli(*RUN, "--yes", "--skip-bad-rows")
    assert ran.code == 0
    assert "1 of 2 applied; 1 skipped" in ran.out


async def test_options_hold_for_all_rows(cli, fusebill, ids):
    await cli(*RUN, "--yes")
    ids.write_text("id\n1\n2\n")
    given = ("--journal", "r.sqlite", "--service-start-option", "nochargesformissedperiods", "--yes")
    assert (await cli("bulk", "run", "release-hold", "in.csv", *given)).code == 0
    assert fusebill.customer(1)["status"] == "Active"
    ran = await cli("bulk", "run", "release-hold", "in.csv", "--journal", "s.sqlite", "--yes")
    assert ran.code == 2
    assert "needs service_start_option" in ran.err


async def test_what_was_rejected_is_tried_again(cli, fusebill, ids):
    await cli(*RUN, "--yes")
    fusebill.change(50, status="Active")
    ran = await cli("bulk", "resume", "-j", "j.sqlite", "--retry", "rejected", "--message", "Cancelled")
    assert (ran.code, ran.out) == (0, "customers.hold: 60 of 60 applied\n")


async def test_money_is_sent_again_only_after_a_yes(cli, fusebill, ids):
    fusebill.add_customer(id=99, status="Draft", modifiedTimestamp="2020-01-01T00:00:00.1234567Z")
    ids.write_text("id\n99\n")
    fusebill.inject(Fault.reset_before_effect(operation="activate"))
    flags = ("--all-subscriptions", "--all-draft-purchases", "--no-disable-auto-post")
    ran = await cli("bulk", "run", "activate", "in.csv", "-j", "a.sqlite", "--yes", *flags)
    assert (ran.code, ran.out.splitlines()[0]) == (1, "customers.activate: 0 of 1 applied; 1 not applied")
    ran = await cli("bulk", "resume", "-j", "a.sqlite", "--retry", "not_applied")
    assert ran.code == 2
    assert "moves money: add --yes" in ran.err
    assert (await cli("bulk", "resume", "-j", "a.sqlite", "--retry", "not_applied", "--yes")).code == 0
    assert fusebill.effects("activate", 99) == 1


async def test_what_is_unknown_ends_with_3_and_is_settled_by_reading(cli, fusebill, ids, monkeypatch):
    from fusebill_async.cli import connection
    from fusebill_async.settings import SettlingPolicy

    ids.write_text("id\n1\n")
    fusebill.inject(Fault.reset_after_effect(operation="hold"))
    fusebill.inject(Fault.status(503, operation="get", times=None))
    settling = SettlingPolicy(first_read=0.01, give_up=0.2, retry_delay=0.02, quiet_period=0.1)
    monkeypatch.setattr(connection, "SETTLING", settling)
    ran = await cli(*RUN, "--yes")
    assert ran.code == 3
    assert "--retry unknown" in ran.out
    fusebill.clear_faults()
    ran = await cli("bulk", "resume", "-j", "j.sqlite", "--retry", "unknown")
    assert (ran.code, ran.out) == (0, "customers.hold: 1 of 1 applied\n")
    assert fusebill.received("hold") == 1


async def test_a_journal_that_is_none(cli, ids):
    for command in ("resume", "status", "report"):
        ran = await cli("bulk", command, "-j", "nothing.sqlite")
        assert ran.code == 2, ran
        assert "there is no journal" in ran.err


async def test_wipe_asks_or_takes_yes(cli, ids):
    ids.write_text("id,company_name\n1,Personal Name\n")
    await cli("bulk", "run", "update", "in.csv", "-j", "j.sqlite", "--yes")
    assert (await cli("bulk", "wipe", "-j", "j.sqlite")).code == 2
    assert (await cli("bulk", "wipe", "-j", "j.sqlite", "--yes")).code == 0
    assert b"Personal Name" not in (ids.parent / "j.sqlite").read_bytes()


async def test_a_cell_is_no_formula(cli, fusebill, ids):
    fusebill.inject(Fault.status(400, operation="hold", customer_id=1, body='{"ErrorId":1,"Errors":["=1+1"]}'))
    await cli(*RUN, "--yes")
    ran = await cli("bulk", "report", "-j", "j.sqlite", "-o", "csv")
    assert not [row for row in csv.reader(io.StringIO(ran.out)) if any(cell.startswith("=") for cell in row)]


# --- at a terminal


@pytest.mark.parametrize("columns", [80, 120, 160])
async def test_at_a_terminal_it_asks_and_shows(start, fusebill, ids, columns):
    for each in range(1, COUNT + 1):
        fusebill.inject(Fault.delay(0.05, operation="hold", customer_id=each))
    seen = await at_a_terminal(
        start, *RUN, "--concurrency", "4", columns=columns, typed={"customers.hold for 60 customers? [y/N]": b"y\n"}
    )
    assert seen.code == 1
    assert "of 60" in seen.text
    assert "a second" in seen.text
    assert "customers.hold: 59 of 60 applied; 1 refused" in seen.text
    shown = [line for line in seen.text.splitlines() if "a second" in line or "quota left" in line]
    assert max(map(len, shown)) <= columns


async def test_at_a_terminal_no_is_no(start, fusebill, ids):
    seen = await at_a_terminal(start, *RUN, typed={"[y/N]": b"n\n"})
    assert seen.code == 1
    assert "you did not say yes" in seen.text
    assert fusebill.effects("hold") == 0


async def test_beside_the_log_there_is_no_display(start, fusebill, ids):
    hides_the_cursor = "\x1b[?25l"
    assert hides_the_cursor not in (await at_a_terminal(start, *RUN, "--yes", "-v")).raw
    assert hides_the_cursor in (await at_a_terminal(start, *RUN, "--yes")).raw
