"""`bulk` as processes: what they print, how they end, what stops them, and what is left when they are killed."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import shlex
import signal
import socket
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from fusebill_async.bulk import read_report
from fusebill_async.testing import Fault
from tests.cli.conftest import finish

COUNT = 60
RUN = ("bulk", "run", "hold", "in.csv", "--journal", "j.sqlite", "--yes")
OFTEN_CODE = """
from fusebill_async.cli import bulk_progress, main
bulk_progress.EVERY.update(plain=0.1, json=0.1)
bulk_progress.LONG = 0.3
raise SystemExit(main())
"""
OFTEN = ("-c", OFTEN_CODE)
"""The program, which says ten times a second what it says once a minute, and after 0.3 s that nothing ends."""


@pytest.fixture
def ids(fusebill, tmp_path, monkeypatch):
    """A file of customers, one of whom cannot be held."""
    for each in range(1, COUNT + 1):
        fusebill.add_customer(id=each, status="Cancelled" if each == 50 else "Active", companyName=f"C{each}")
    (tmp_path / "in.csv").write_text("id\n" + "".join(f"{each}\n" for each in range(1, COUNT + 1)))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in.csv"


@asynccontextmanager
async def under_way(start, fusebill, count, *words, **options):
    """A process that has so many holds under way, none of which is answered."""
    with fusebill.hold_open("hold"):
        process = await start(*(words or RUN), "--concurrency", str(count), **options)
        async with asyncio.timeout(30):
            while fusebill.held_open < count:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.01)
        yield process


async def line_with(process, text):
    """The next line on standard error that holds a text."""
    async with asyncio.timeout(20):
        async for line in process.stderr:
            if text in line.decode():
                return line.decode()
    raise AssertionError(f"it ended without {text!r}")


async def ran(start, *words, given=None, **options):
    """A process from its start to its end."""
    return await finish(await start(*words, **options), given)


# --- plan


async def test_plan(start, fusebill, ids):
    found = await ran(start, "bulk", "plan", "hold", "in.csv", "-j", "j.sqlite")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("customers.hold  60 items")
    assert found.out.endswith("".join(f"  POST /CustomerHold/{each}\n" for each in range(1, 6)))
    assert fusebill.received("hold") == 0


async def test_plan_shows_what_would_change(start, fusebill, ids, tmp_path):
    fusebill.change(2, companyName="=Grok")
    ids.write_text("id,company_name,primary_email\n1,=Grok,\\N\n2,=Grok,\n404,x,\n50,x,\n")
    plan = ("bulk", "plan", "update", "in.csv", "-j", "j.sqlite")
    email = fusebill.customer(1)["primaryEmail"]
    found = await ran(start, *plan, "--diff", "--diff-to", "diff.csv")
    assert (found.code, found.err) == (0, "")
    assert "Of 4 items: 1 would change, 1 so already, 1 would be refused, 1 not there\n" in found.out
    assert "  company_name changes in 1\n" in found.out
    assert '"C1"' in found.out
    rows = list(csv.DictReader((tmp_path / "diff.csv").read_text().splitlines()))
    assert [tuple(row.values())[:6] for row in rows] == [
        ("1", "1", "changed", "company_name", "C1", "'=Grok"),
        ("1", "1", "changed", "primary_email", email, "\\N"),
        ("2", "2", "unchanged", "", "", ""),
        ("3", "404", "missing", "", "", ""),
        ("4", "50", "refused", "", "", ""),
    ]
    assert rows[4]["reason"].startswith("it is Cancelled, and this works from Draft")
    told = json.loads((await ran(start, *plan, "--diff", "--sample", "2", "--json")).out)["diff"]
    assert told["looked_at"] == 2
    assert (await ran(start, *plan, "--sample", "2")).code == 2
    assert fusebill.effects_log == []


async def test_plan_totals_what_would_be_invoiced(start, fusebill, ids):
    for each in (1, 2, 3):
        fusebill.change(each, status="Hold", currency="USD" if each < 3 else "CAD")
    ids.write_text("id\n1\n2\n3\n4\n")
    plan = ("bulk", "plan", "release-hold", "in.csv", "-j", "j.sqlite", "--service-start-option")
    found = await ran(start, *plan, "NoChargesForMissedPeriods", "--preview")
    assert found.code == 0
    assert "Of 4 items: 3 would be invoiced, 1 no preview\n" in found.out
    assert "  CAD 58.7148  in 2 invoices to 1 customers\n  USD 117.4296  in 4 invoices to 2 customers\n" in found.out
    assert "  1 (customer 4): 400: This activity could not be processed since the service status is Active" in found.out
    found = await ran(start, *plan, "NoChargesForMissedPeriods", "--preview", "--json")
    usd = json.loads(found.out, parse_float=Decimal)["preview"]["invoiced"][1]
    assert usd == {"currency": "USD", "customers": 2, "invoices": 4, "total": Decimal("117.4296"), "untold": 0}
    found = await ran(start, "bulk", "plan", "hold", "in.csv", "-j", "h.sqlite", "--preview")
    assert (found.code, found.out) == (2, "")
    assert "customers.hold invoices nothing" in found.err
    assert fusebill.effects_log == []


# --- run, and how it is watched


async def test_run_and_report_in_each_form(start, fusebill, ids):
    found = await ran(start, *RUN)
    assert (found.code, found.err) == (1, "")
    assert found.out.startswith("customers.hold: 59 of 60 applied; 1 refused\n")
    assert fusebill.effects("hold") == 59
    forms = [(), ("--json",), ("-o", "csv"), ("-o", "jsonl")]
    report = ("bulk", "report", "-j", "j.sqlite")
    text, tallies, table, lines = await asyncio.gather(*(ran(start, *report, *form) for form in forms))
    assert (text.code, text.out) == (1, found.out)
    assert (tallies.code, sum(tallies.object.values()), tallies.object["rejected"]) == (1, COUNT, 1)
    rows = list(csv.DictReader(table.out.splitlines()))
    items = [json.loads(line) for line in lines.out.splitlines()]
    assert (table.code, lines.code, len(rows), len(items)) == (0, 0, COUNT, COUNT)
    assert [row["tally"] for row in rows] == [item["tally"] for item in items]
    # The command that it names tries the one again.
    fusebill.change(50, status="Active")
    command = next(line for line in text.out.splitlines() if "--retry rejected" in line)
    found = await ran(start, *shlex.split(command)[1:])
    assert (found.code, found.out) == (0, "customers.hold: 60 of 60 applied\n")
    assert fusebill.effects("hold", 50) == 1


async def test_without_a_terminal_it_needs_yes(start, fusebill, ids):
    found = await ran(start, *RUN[:-1], stdin=asyncio.subprocess.DEVNULL)
    assert (found.code, found.out) == (2, "")
    assert "add --yes" in found.err
    assert fusebill.received("hold") == 0


async def test_progress_without_a_terminal_goes_on_while_nothing_ends(start, fusebill, ids):
    fusebill.inject(Fault.delay(0.05, operation="hold", times=None))
    async with under_way(start, fusebill, 4, program=OFTEN) as process:
        line = await line_with(process, "nothing has ended for 0:00:0")
        assert line.endswith(": waiting for the service to answer\n")
        assert line.startswith("j: 0 of 60; nothing has ended yet; applied 0, rejected 0, unknown 0; quota left: ")
    found = await finish(process)
    assert found.code == 1
    assert "\x1b" not in found.err
    assert re.search(
        r"^j: \d+ of 60; [\d.]+ a second, 0:\d\d:\d\d left, until \d\d:\d\d; applied \d+, ", found.err, re.MULTILINE
    )


async def test_progress_for_machines(start, fusebill, ids):
    async with under_way(start, fusebill, 4, *RUN, "--progress", "json", program=OFTEN) as process:
        first = json.loads(await line_with(process, '"total":60'))
    found = await finish(process)
    assert (first["done"], first["seconds_left"], first["applied"]) == (0, None, 0)
    last = json.loads(found.err.splitlines()[-1])
    assert (last["done"], last["applied"], last["rejected"], last["seconds_left"]) == (60, 59, 1, 0)
    assert last["minute_left"] > 0


async def test_standard_input(start, fusebill, ids):
    words = ("bulk", "run", "hold", "-", "-j", "j.sqlite", "--yes", "--progress", "none")
    found = await ran(start, *words, given=b'\xef\xbb\xbf"id"\r\n1\r\n"2"\r\n', stdin=asyncio.subprocess.PIPE)
    assert (found.code, found.out, found.err) == (0, "customers.hold: 2 of 2 applied\n", "")


async def test_an_error_output_that_is_lost_stops_nothing(start, fusebill, ids):
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123 (a device)
        process = await start(*RUN, program=OFTEN, stderr=full)
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert (process.returncode, out.decode().splitlines()[0]) == (1, "customers.hold: 59 of 60 applied; 1 refused")


# --- what stops it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_it_after_what_is_under_way(start, fusebill, ids, number):
    async with under_way(start, fusebill, 4) as process:
        process.send_signal(number)
        await line_with(process, "Stopping: what is under way is seen to its end.")
        assert process.returncode is None
    found = await finish(process)
    assert found.code == 75
    assert read_report(ids.parent / "j.sqlite").applied == fusebill.effects("hold") == 4
    # The command that it prints goes on, and asks nothing.
    command = re.fullmatch(r"stopped  go on with: fusebill-async (.*)\n", found.err)
    found = await ran(start, *shlex.split(command[1]))
    assert (found.code, found.out.splitlines()[0]) == (1, "customers.hold: 59 of 60 applied; 1 refused")
    assert fusebill.received("hold") == COUNT


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_second_signal_leaves_them_open(start, fusebill, ids, number, code):
    async with under_way(start, fusebill, 4) as process:
        process.send_signal(number)
        await line_with(process, "Stopping")
        process.send_signal(number)
        found = await finish(process)
        assert found.code == code
        assert "4 not known" in found.out
        assert "go on with: fusebill-async bulk resume --journal j.sqlite" in found.err
    assert (await ran(start, "bulk", "resume", "-j", "j.sqlite")).code == 1
    assert fusebill.effects("hold") == 59
    assert all(fusebill.effects("hold", each) <= 1 for each in range(1, COUNT + 1))


async def test_a_signal_while_it_is_verified_hides_nothing_of_what_was_done(start, fusebill, ids):
    with fusebill.hold_open("list"):
        process = await start(*RUN, "--verify", "--no-snapshot")
        async with asyncio.timeout(30):
            while not fusebill.held_open:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        found = await finish(process)
    assert (found.code, found.out.splitlines()[0]) == (130, "customers.hold: 59 of 60 applied; 1 refused")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_while_the_input_is_read(start, fusebill, ids, tmp_path, number, code):
    words = ("bulk", "run", "hold", "-", "-j", "j.sqlite", "--yes")
    process = await start(*words, stdin=asyncio.subprocess.PIPE)
    process.stdin.write(b"id\n1\n")
    await process.stdin.drain()
    async with asyncio.timeout(20):
        # It reads when its journal is there: the input goes into it.
        while not (tmp_path / "j.sqlite-wal").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    process.send_signal(number)
    async with asyncio.timeout(20):
        await process.wait()
    assert (process.returncode, await process.stderr.read()) == (code, b"interrupted, not sent  Nothing was sent.\n")
    assert fusebill.received("hold") == 0


async def test_a_job_that_is_killed_says_so_and_goes_on(start, fusebill, ids):
    async with under_way(start, fusebill, 4) as process:
        process.kill()
        await process.wait()
        found = await ran(start, "bulk", "status", "-j", "j.sqlite")
    assert found.code == 3
    assert f"process {process.pid} on {socket.gethostname()} ran it since " in found.out
    assert "and ended without a word" in found.out
    assert "4 not known" in found.out
    found = await ran(start, "bulk", "resume", "-j", "j.sqlite")
    assert (found.code, found.out.splitlines()[0]) == (1, "customers.hold: 59 of 60 applied; 1 refused")
    assert all(fusebill.effects("hold", each) <= 1 for each in range(1, COUNT + 1))


async def test_two_processes_on_one_journal(start, fusebill, ids):
    async with under_way(start, fusebill, 2) as process:
        second, resumed, status, tallies, report = await asyncio.gather(
            ran(start, *RUN),
            ran(start, "bulk", "resume", "-j", "j.sqlite"),
            ran(start, "bulk", "status", "-j", "j.sqlite"),
            ran(start, "bulk", "status", "-j", "j.sqlite", "--json"),
            ran(start, "bulk", "report", "-j", "j.sqlite"),
        )
        for refused in (second, resumed):
            assert (refused.code, refused.out) == (2, "")
            assert f"is in use by process {process.pid} on {socket.gethostname()} since 20" in refused.err
        assert status.code == 0
        first, owner, *more = status.out.splitlines()
        assert first == "customers.hold: 0 of 60 applied; 2 under way; 58 not begun"
        assert re.fullmatch(
            rf"process {process.pid} on {socket.gethostname()} runs it since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", owner
        )
        assert more == []
        assert (report.code, report.out) == (0, status.out)
        told = tallies.object
        assert told.pop("process")["pid"] == process.pid
        assert told.pop("control") == {"wanted": "go", "held_for": "", "held_until": None}
        assert sum(told.values()) == COUNT
    assert (await finish(process)).code == 1
    assert fusebill.effects("hold") == 59


# --- bad input


async def test_each_kind_of_bad_row_is_told_by_its_line(start, fusebill, ids):
    """No row is guessed at."""
    rows = [
        "1.2E+07,a,",
        '"12,000",a,',
        "7.0,a,",
        ",a,",
        "9223372036854775808,a,",
        "5,a",
        "6,a,x",
        "7,a,",
        "7,b,",
        "8,a,",
    ]
    ids.write_text("id,company_name,parent_id\n" + "\n".join(rows))
    found = await ran(start, "bulk", "run", "update", "in.csv", "-j", "j.sqlite", "--yes")
    assert (found.code, found.out) == (2, "")
    assert "the file has bad rows, 9 of them: line 2: '1.2E+07' is no id: a spreadsheet has changed it" in found.err
    found = await ran(start, "bulk", "plan", "update", "in.csv", "-j", "j.sqlite", "--json")
    assert (found.code, found.object["bad_rows"], found.object["to_do"]) == (2, 9, 1)
    told = [example["reason"] for example in found.object["examples"]]
    for line, why in [
        (2, "'1.2E+07' is no id: a spreadsheet has changed it"), (3, "'12,000' is no id: a spreadsheet has changed it"),
        (4, "'7.0' is no id: a spreadsheet has changed it"), (5, "'' is no id"),
        (6, "'9223372036854775808' is no id"), (7, "it has 2 cells, and the first line has 3"),
        (8, "parent_id must be a whole number, not 'x'"),
    ]:  # fmt: skip
        assert told[line - 2].startswith(f"line {line}: {why}")
    assert told[7:] == ["rows 8 and 9 ask for different things for customer 7"] * 2
    assert fusebill.effects_log == []


BAD = {
    "no column id": ("hold", b"name\nx\n", "needs one column named id"),
    "a column twice": ("update", b"id,company_name,Company_Name\n1,a,b\n", "two columns of one name"),
    "a column that is no field": ("update", b"id,colour\n1,red\n2,red\n", "colour is not a field of Customer"),
    "a column that is no option": (
        "hold",
        b"id,colour\n1,x\n",
        "'colour' is no option: customers.hold takes none",
    ),
    "no rows at all": ("hold", b"", "is empty: its first line names the columns"),
    "another encoding": ("hold", "id\n1\n".encode("utf-16"), "is not UTF-8"),
    "a file that was cut off": ("hold", b'id\n1\n"2', "line 3: unexpected end of data"),
    "no JSON": ("hold", b'1\n{"id": 2\n', "line 2: no JSON"),
    "a key of JSON": ("update", b'{"id": 1, "colour": "red"}\n', "line 1: colour is not a field of Customer"),
}


async def test_each_kind_of_bad_file(start, fusebill, ids, tmp_path):
    async def told(number, name):
        verb, content, why = BAD[name]
        file = tmp_path / f"{number}.{'jsonl' if 'JSON' in name else 'csv'}"
        file.write_bytes(content)
        found = await ran(start, "bulk", "run", verb, str(file), "-j", f"{number}.sqlite", "--yes")
        assert (name, found.code, found.out) == (name, 2, "")
        assert why in found.err, name
        # However many rows are concerned, it is one message.
        assert found.err.count("colour") <= 1

    numbered = list(enumerate(BAD))
    for some in (numbered[:4], numbered[4:]):
        await asyncio.gather(*(told(number, name) for number, name in some))
    assert fusebill.effects_log == []


async def test_bad_rows_and_columns_are_set_aside(start, fusebill, ids):
    ids.write_text("note,id\nx,1\ny,7.0\n")
    words = ("bulk", "run", "hold", "in.csv", "-j", "j.sqlite", "--yes", "--ignore-columns")
    found = await ran(start, *words, "--skip-bad-rows")
    assert (found.code, found.out.splitlines()[0]) == (0, "customers.hold: 1 of 2 applied; 1 skipped")
    assert "  line N: 'N.N' is no id: a spreadsheet has changed it" in found.out
    assert fusebill.effects("hold") == 1
