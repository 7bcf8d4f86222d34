"""Every bulk command in every circumstance: its exit code, what stands on stdout, and what on stderr."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import sqlite3
from contextlib import closing

import attrs
import pytest

from fusebill_async.cli import connection
from fusebill_async.settings import SettlingPolicy, Timeouts
from fusebill_async.testing import Fault
from tests.cli.circumstances import Service, run
from tests.cli.test_cli_circumstances import COLOURS, KEY, closed_pipe, fits, full_disk

IDS = (1, 2, 3)
FLAGS = ("--all-subscriptions", "--all-draft-purchases", "--no-disable-auto-post")
FREE = ("--service-start-option", "NoChargesForMissedPeriods")
RUNNING = ("--concurrency", "1", "--patience", "1")


@attrs.frozen
class Command:
    """A command, and how it ends.

    Attributes:
        words: as they are typed after `bulk`.
        asks: the operation that the service sees first of those that it waits for; "" if it is not asked.
        effects: how many it has.
        runs: whether it runs a job, which a first signal stops.
        status: of the customers before it.
        hangs, away, refused: how it ends where the service hangs, cannot be reached, or refuses the key.
        local: it works without a key.
        wide: whether lines are as long as what they show.
        told: what it says of what happened, where stdout cannot be written.
    """

    words: tuple[str, ...]
    asks: str = ""
    effects: int = 0
    runs: bool = False
    status: str = "Active"
    hangs: int = 0
    away: int = 0
    refused: int = 0
    local: bool = False
    wide: bool = False
    told: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in self.words[:5] if not word.endswith((".csv", ".sqlite")))


PLAN = ("-j", "new.sqlite")
COMMANDS = [
    Command(("plan", "hold", "ids.csv", *PLAN), "customers.list", refused=1),
    Command(("plan", "update", "up.csv", "--diff", *PLAN), "customers.list", away=1, refused=1, wide=True),
    Command(
        ("plan", "activate", "ids.csv", "--preview", *PLAN, *FLAGS),
        "customers.list", status="Draft", away=1, refused=1, wide=True,
    ),
    Command(
        ("run", "hold", "ids.csv", "--yes", *PLAN, *RUNNING),
        "customers.hold", 3, True, hangs=75, away=75, refused=75,
    ),
    Command(("resume", "-j", "half.sqlite", *RUNNING), "customers.hold", 3, True, hangs=75, away=75, refused=75),
    Command(("status", "-j", "done.sqlite"), local=True),
    Command(("report", "-j", "done.sqlite"), local=True),
    Command(("report", "-o", "csv", "-j", "done.sqlite"), local=True, wide=True),
    Command(("verify", "-j", "done.sqlite"), "customers.list", status="Hold", hangs=1, away=1, refused=1),
    Command(
        ("undo", "-j", "done.sqlite", "--into", "new.sqlite", "--yes", *FREE, *RUNNING),
        "customers.release_hold", 3, True, "Hold", hangs=75, away=75, refused=75,
    ),
    Command(("report", "--html", "page.html", "-j", "done.sqlite"), local=True, wide=True),
    Command(("pause", "-j", "half.sqlite"), local=True, told="no process runs the job: the next run sends nothing"),
    Command(("go", "-j", "half.sqlite"), local=True, wide=True, told="no process runs the job; go on with: "),
    Command(("wipe", "--yes", "-j", "done.sqlite"), told="done.sqlite holds nothing of persons any more"),
]  # fmt: skip
ASKING = [command for command in COMMANDS if command.asks]


@pytest.fixture(scope="module")
def service():
    running = Service()
    yield running
    running.close()


@pytest.fixture(scope="module")
def journals(service, tmp_path_factory):
    """A folder with what the commands work on: a job that is done, and one that was only planned."""
    folder = tmp_path_factory.mktemp("journals")
    (folder / "ids.csv").write_text("id\n1\n2\n3\n")
    (folder / "up.csv").write_text("id,company_name\n1,Grok\n2,Grok\n3,Grok\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSEBILL_API_KEY", KEY)
        patch.setenv("FUSEBILL_BASE_URL", service.simulator.base_url)
        patch.chdir(folder)
        service.do(lambda simulator: [simulator.add_customer(id=each, status="Active") for each in IDS])
        assert run(["bulk", "plan", "hold", "ids.csv", "-j", "half.sqlite"]).code == 0
        assert run(["bulk", "run", "hold", "ids.csv", "-j", "done.sqlite", "--yes"]).code == 0
    left = service.do(lambda simulator: {each: simulator.customer(each)["modifiedTimestamp"] for each in IDS})
    return folder, left


@pytest.fixture
def ended(service, journals, monkeypatch, tmp_path):
    """Run a command in a circumstance, against a service as it always is."""
    folder, left = journals
    for file in folder.iterdir():
        shutil.copy(file, tmp_path / file.name)
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "NO_COLOR", "FUSEBILL_STORE", "FUSEBILL_ACCOUNT", "FUSEBILL_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FUSEBILL_API_KEY", KEY)
    monkeypatch.setenv("FUSEBILL_BASE_URL", service.simulator.base_url)
    monkeypatch.setenv("TERM", "xterm-256color")
    settling = SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=0.3, close_wait=0.1)
    monkeypatch.setattr(connection, "SETTLING", settling)

    def reset(simulator, status):
        simulator.clear_faults()
        simulator.clear_records()
        for each in IDS:
            simulator.add_customer(id=each, status=status, modifiedTimestamp=left[each], companyName=f"Lee {each}")

    def ran(command, *more, fault=None, **circumstance):
        service.do(lambda simulator: reset(simulator, command.status))
        if fault is not None:
            service.do(lambda simulator: simulator.inject(fault))
        found = run(["bulk", *command.words, *more], **circumstance)
        assert KEY not in found.out + found.err
        assert "Traceback" not in found.out + found.err
        assert "Exception ignored" not in found.err
        return found

    ran.effects = lambda: service.do(lambda simulator: len(simulator.effects_log))
    return ran


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_at_a_terminal(ended, command, columns):
    found = ended(command, columns=columns)
    assert found.code == 0
    assert found.out.strip()
    assert command.wide or fits(found.out, columns)
    assert ended.effects() == command.effects


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_in_a_pipe(ended, command):
    found = ended(command)
    assert (found.code, found.err) == (0, "")
    assert found.out.strip()
    assert "\x1b" not in found.out
    assert ended.effects() == command.effects


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_as_json(ended, command):
    found = ended(command, "--json")
    assert (found.code, found.err) == (0, "")
    shown = json.loads(found.out)
    if command.words[0] in {"run", "resume", "undo", "report", "wipe"}:
        assert (shown["applied"], sum(shown.values())) == (3, 3)
    assert ended.effects() == command.effects


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_without_colours(ended, command, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    found = ended(command, columns=80)
    assert found.code == 0
    assert not COLOURS.search(found.out)


@pytest.mark.parametrize("make", [full_disk, closed_pipe])
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_where_nothing_can_be_written(ended, command, make):
    found = ended(command, stdout=make())
    assert (found.code, found.out) == (74, "")
    if command.runs:
        assert re.search(r"What happened: customers\.\w+: 3 of 3 applied\n", found.err)
    elif command.told:
        assert f"What happened: {command.told}" in found.err
    else:
        assert found.err == ("output lost  No space left on device\n" if make is full_disk else "")
    assert ended.effects() == command.effects


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", ASKING, ids=str)
def test_a_signal(ended, service, command, number, code):
    delay = Fault.delay(0.3 if command.runs else 20.0, operation=command.asks, times=None)
    found = ended(command, fault=delay, kill=(number, lambda: service.simulator.received(command.asks)))
    if command.runs:
        # What was under way is done, and the command that goes on is told.
        assert found.code == 75
        assert "1 of 3 applied; 2 not begun" in found.out
        assert "stopped  go on with: fusebill-async bulk resume --journal " in found.err
    else:
        assert (found.code, found.out) == (code, "")
        assert found.err.splitlines()[-1].startswith("interrupted, not sent")
    assert ended.effects() == command.runs


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_service_that_hangs(ended, monkeypatch, command):
    monkeypatch.setattr(connection, "TIMEOUTS", Timeouts(connect=0.3, read=0.1, total=0.3))
    found = ended(command, "--json", fault=Fault.hang_before_effect(times=None))
    assert found.code == command.hangs
    shown = json.loads(found.out)
    if command.words[0] == "plan":
        assert (shown["to_do"], shown["minute_left"]) == (3, None)
        assert shown.get("diff", {}).get("unreadable", 3) == shown.get("preview", {}).get("failed", 3) == 3
    elif command.runs:
        assert shown["unprocessed"] == 3
    elif command.words[0] == "verify":
        assert shown["unreadable"] == 3
    assert ended.effects() == 0


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_service_that_is_away(ended, monkeypatch, tmp_path, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        for name in ("half", "done"):
            with closing(sqlite3.connect(tmp_path / f"{name}.sqlite")) as connected, connected:
                connected.execute("UPDATE job SET service = ?", (away,))
        monkeypatch.setattr(connection, "TIMEOUTS", Timeouts(total=0.3))
        monkeypatch.setenv("FUSEBILL_BASE_URL", away)
        found = ended(command)
    assert found.code == command.away
    if command.runs:
        assert "It stopped: the service was out of reach for 1 s" in found.out
    elif command.words[0] == "verify":
        assert "0 of 3 hold, 3 unreadable" in found.out
    elif command.away:
        assert found.out == ""
        assert found.err.startswith("not sent  ")
    elif command.words[0] == "plan":
        assert "quota           not told: " in found.out


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_wrong_key(ended, command):
    found = ended(command, fault=Fault.status(401, times=None))
    assert found.code == command.refused
    if command.runs:
        assert "It stopped: the service refuses the API key" in found.out
    elif command.refused:
        assert found.out == ""
        assert "FUSEBILL_API_KEY must hold a key" in found.err
    assert ended.effects() == 0


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_no_key(ended, monkeypatch, command, form):
    monkeypatch.delenv("FUSEBILL_API_KEY")
    found = ended(command, *form)
    if command.local:
        assert found.code == 0
        return
    assert found.code == 2
    if form:
        assert json.loads(found.out)["error"] == "ConfigurationError"
    else:
        assert (found.out, "FUSEBILL_API_KEY is not set" in found.err) == ("", True)
    assert ended.effects() == 0
