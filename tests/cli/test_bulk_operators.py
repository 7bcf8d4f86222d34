"""`bulk run --canary` and `--window`, `pause`, `go`, `stop` and `report --html`, as the people who run it have them."""

from __future__ import annotations

import asyncio
import re
import signal

import pytest

from fusebill_async.bulk import read_report
from fusebill_async.testing import Fault
from tests.cli.conftest import finish
from tests.cli.terminals import at_a_terminal

COUNT = 40
RUN = ("bulk", "run", "hold", "in.csv", "--journal", "j.sqlite")


@pytest.fixture
def ids(fusebill, tmp_path, monkeypatch):
    """A file of customers."""
    for each in range(1, COUNT + 1):
        fusebill.add_customer(id=each, status="Active", companyName=f"C{each}")
    (tmp_path / "in.csv").write_text("id\n" + "".join(f"{each}\n" for each in range(1, COUNT + 1)))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in.csv"


# --- the canary


async def test_without_a_terminal_a_canary_ends_with_75_and_resume_yes_goes_on(cli, fusebill, ids):
    ran = await cli(*RUN, "--yes", "--canary", "5")
    assert ran.code == 75
    assert "The canary: 5 of 5 applied" in ran.err
    assert ran.err.count('status "Active" -> "Hold"') == 5
    assert "go on with all the others: fusebill-async bulk resume --journal j.sqlite --yes" in ran.err
    assert fusebill.effects("hold") == 5
    # The same command again, as a supervisor gives it, does nothing more; nor does resume.
    for again in ((*RUN, "--yes", "--canary", "5"), (*RUN, "--yes"), ("bulk", "resume", "-j", "j.sqlite")):
        assert (await cli(*again)).code == 75
    assert fusebill.effects("hold") == 5
    ran = await cli("bulk", "resume", "-j", "j.sqlite", "--yes")
    assert (ran.code, ran.out) == (0, "customers.hold: 40 of 40 applied\n")
    assert fusebill.effects("hold") == COUNT


@pytest.mark.parametrize("columns", [80, 160])
async def test_at_a_terminal_it_shows_and_asks(start, fusebill, ids, columns):
    typed = {"40 customers? [y/N]": b"y\n", "other 35 customers? [y/N]": b"y\n"}
    seen = await at_a_terminal(start, *RUN, "--canary", "5", columns=columns, typed=typed)
    assert seen.code == 0
    assert "The canary: 5 of 5 applied. What is different now:" in seen.text
    assert 'applied status "Active" -> "Hold"' in seen.text
    assert "customers.hold: 40 of 40 applied" in seen.text
    assert fusebill.effects("hold") == COUNT


async def test_a_canary_answered_no_sends_nothing_more_and_can_be_resumed(start, cli, fusebill, ids):
    seen = await at_a_terminal(
        start, *RUN, "--canary", "5", typed={"40 customers? [y/N]": b"y\n", "35 customers? [y/N]": b"n\n"}
    )
    assert seen.code == 75
    assert "bulk resume --journal j.sqlite --yes" in seen.text
    assert fusebill.effects("hold") == 5
    assert read_report(ids.parent / "j.sqlite").awaits_approval
    assert (await cli("bulk", "resume", "-j", "j.sqlite", "--yes")).code == 0
    assert fusebill.effects("hold") == COUNT


async def test_killed_while_it_asks_nothing_more_is_sent(start, cli, fusebill, ids):
    processes = []

    async def started(*words, **options):
        processes.append(await start(*words, **options))
        return processes[-1]

    asked = asyncio.create_task(
        at_a_terminal(started, *RUN, "--canary", "5", typed={"40 customers? [y/N]": b"y\n", "35 customers? [y/N]": b""})
    )
    async with asyncio.timeout(30):
        while not (ids.parent / "j.sqlite").exists() or fusebill.effects("hold") < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while not read_report(ids.parent / "j.sqlite").awaits_approval:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
    processes[0].send_signal(signal.SIGKILL)
    assert (await asked).code == -9
    assert fusebill.effects("hold") == 5
    assert (await cli("bulk", "resume", "-j", "j.sqlite")).code == 75
    assert fusebill.effects("hold") == 5
    assert (await cli("bulk", "resume", "-j", "j.sqlite", "--yes")).code == 0
    assert all(fusebill.effects("hold", each) == 1 for each in range(1, COUNT + 1))


# --- control from another terminal


async def test_pause_go_and_stop_from_another_terminal(start, cli, fusebill, ids):
    fusebill.inject(Fault.delay(0.5, operation="hold", times=None))
    process = await start(*RUN, "--yes", "--concurrency", "2", "--progress", "json")
    async with asyncio.timeout(30):
        while not fusebill.effects_log:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    ran = await cli("bulk", "pause", "-j", "j.sqlite")
    assert ran.code == 0
    assert f"process {process.pid} on " in ran.out
    assert "go on with: fusebill-async bulk go --journal j.sqlite" in ran.out
    await asyncio.sleep(1.0 + 0.8)
    paused_at = fusebill.received("hold")
    await asyncio.sleep(1.0)
    assert fusebill.received("hold") == paused_at
    ran = await cli("bulk", "status", "-j", "j.sqlite")
    assert ran.code == 0
    assert "it sends nothing now: paused by " in ran.out
    assert "bulk go --journal j.sqlite" in ran.out
    assert (await cli("bulk", "go", "-j", "j.sqlite", "--json")).object["process"]["pid"] == process.pid
    async with asyncio.timeout(3):
        while fusebill.received("hold") == paused_at:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await cli("bulk", "stop", "-j", "j.sqlite")).code == 0
    ended = await finish(process)
    assert ended.code == 75
    assert "go on with: fusebill-async bulk resume --journal j.sqlite" in ended.err
    assert '"waiting":"waiting: paused by ' in ended.err
    fusebill.clear_faults()
    assert (await cli("bulk", "resume", "-j", "j.sqlite")).code == 0
    assert fusebill.effects("hold") == fusebill.received("hold") == COUNT


async def test_control_without_a_process(cli, ids):
    await cli("bulk", "plan", "hold", "in.csv", "--journal", "j.sqlite")
    ran = await cli("bulk", "stop", "-j", "j.sqlite")
    assert (ran.code, "nothing to stop" in ran.out) == (1, True)
    assert "the next run sends nothing until bulk go" in (await cli("bulk", "pause", "-j", "j.sqlite")).out
    assert "it was told to wait until it may go on" in (await cli("bulk", "status", "-j", "j.sqlite")).out
    ran = await cli("bulk", "go", "-j", "j.sqlite", "--json")
    assert (ran.code, ran.object) == (0, {"wanted": "go", "process": None})
    ran = await cli("bulk", "pause", "-j", "none.sqlite")
    assert ran.code == 2
    assert "there is no journal" in ran.err


# --- the window and the page


async def test_a_window_that_is_none(cli, fusebill, ids):
    ran = await cli(*RUN, "--yes", "--window", "22-06")
    assert (ran.code, "22:00-06:00" in ran.err) == (2, True)
    ran = await cli(*RUN, "--yes", "--window", "22:00-06:00", "--tz", "Berlin")
    assert (ran.code, "Europe/Berlin" in ran.err) == (2, True)
    assert fusebill.received("hold") == 0


async def test_outside_of_its_window_it_waits_and_says_so(start, cli, fusebill, ids):
    from datetime import UTC, datetime, timedelta

    begins = datetime.now(UTC) + timedelta(hours=2)
    window = f"{begins:%H:%M}-{begins + timedelta(hours=1):%H:%M}"
    process = await start(*RUN, "--yes", "--window", window, "--tz", "UTC", "--progress", "json")
    async with asyncio.timeout(30):
        while f"its window {window} UTC is closed until".encode() not in await process.stderr.readline():
            pass
    ran = await cli("bulk", "status", "-j", "j.sqlite", "--json")
    assert ran.object["control"]["held_for"] == f"its window {window} UTC is closed"
    assert ran.object["control"]["held_until"].startswith(f"{begins:%Y-%m-%dT%H:%M:00}")
    assert (await cli("bulk", "stop", "-j", "j.sqlite")).code == 0
    assert (await finish(process)).code == 75
    assert fusebill.received("hold") == 0


async def test_the_page(cli, fusebill, ids):
    fusebill.change(7, status="Cancelled")
    await cli(*RUN, "--yes")
    ran = await cli("bulk", "report", "-j", "j.sqlite", "--html", "page.html")
    assert ran.code == 1
    page = (ids.parent / "page.html").read_text()
    assert "<h1>39 of 40 on hold; 1 refused; nothing twice</h1>" in page
    assert re.search(r"<svg class=\"timeline\"", page)
    ran = await cli("bulk", "report", "-j", "j.sqlite", "--html", "nowhere/page.html")
    assert ran.code == 2
    assert "nowhere/page.html cannot be written" in ran.err
