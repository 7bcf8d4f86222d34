"""Every command in every circumstance: its exit code, what stands on stdout, and what on stderr."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path

import attrs
import pytest

from fusebill_async.cli import connection
from fusebill_async.cli.options import command_name
from fusebill_async.operations import OPERATIONS
from fusebill_async.settings import SettlingPolicy, Timeouts
from fusebill_async.testing import Fault
from tests.cli.circumstances import Service, run
from tests.cli.terminals import ESCAPES
from tests.cli.test_cli_table import CALLS

KEY = "MDpub3QtYS1yZWFsLWtleQ"
COLOURS = re.compile(r"\x1b\[(\d+;)*(3[0-7]|9[0-7])m")
STATUSES = {1: "Draft", 2: "Active", 3: "Hold", 4: "Cancelled"}


@attrs.frozen
class Command:
    """A command, and what it is.

    Attributes:
        words: as they are typed; STORE and FILE stand for paths.
        asks: the title of the operation that the service sees; "" if it is not asked.
        writes: whether it has an effect there.
        reads_first: it reads before it writes, so that a service which never answers is never written to.
        code: how it ends where nothing is in its way.
        json: whether it takes --json.
        silent: it has nothing for stdout.
    """

    words: tuple[str, ...]
    asks: str = ""
    writes: bool = False
    reads_first: bool = False
    code: int = 0
    json: bool = True
    silent: bool = False

    def __str__(self) -> str:
        return " ".join(self.words[:2])


def _of(operation):
    arguments, _ = CALLS[operation.title]
    group = [] if operation.resource == "customers" else [operation.resource]
    yes = ["--yes"] if operation.moves_money else []
    reads_first = operation.name in {"update", "replace"}
    seen = "customers.update" if operation.name == "replace" else operation.title
    words = (*group, command_name(operation), *arguments, *yes)
    return Command(words, seen, operation.writes, reads_first)


COMMANDS = [
    *map(_of, OPERATIONS),
    Command(("unlatch", "2"), "hubspot.unlatch", writes=True),
    Command(("find", "--reference", "A-1"), "customers.list"),
    Command(("request", "GET", "/customers/2"), "customers.get"),
    Command(("request", "POST", "/CustomerHold/2"), "customers.hold", writes=True),
    Command(("quota",), "customers.list"),
    Command(("doctor",), "customers.list"),
    Command(("unresolved", "--store", "STORE"), silent=True),
    Command(("resolve", "--all", "--store", "STORE"), silent=True),
    Command(("guide",), json=False),
    Command(("guide", "quota"), json=False),
    Command(("help",), json=False),
    Command(("help", "hold"), json=False),
    Command(("demo",)),
]
ASKING = [command for command in COMMANDS if command.asks]
LOCAL = {"guide", "help", "demo"}


@pytest.fixture(scope="module")
def service():
    running = Service()
    yield running
    running.close()


@pytest.fixture
def ended(service, monkeypatch, tmp_path):
    """Run a command in a circumstance, against a service as it always is."""

    def reset(simulator):
        simulator.clear_faults()
        simulator.clear_records()
        for number, status in STATUSES.items():
            simulator.add_customer(id=number, status=status, reference="A-1" if number == 2 else "B-1")

    service.do(reset)
    store, file = tmp_path / "store.sqlite", tmp_path / "customer.json"
    store.touch()
    file.write_bytes(service.do(lambda simulator: simulator.customer_bytes(2)).replace(b'"Lee"', b'"Leo"'))
    for name in ("COLUMNS", "NO_COLOR", "FUSEBILL_STORE", "FUSEBILL_ACCOUNT", "FUSEBILL_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FUSEBILL_API_KEY", KEY)
    monkeypatch.setenv("FUSEBILL_BASE_URL", service.simulator.base_url)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(
        connection, "SETTLING", SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=0.3, close_wait=0.1)
    )

    def ran(command, *more, **circumstance):
        paths = {"STORE": str(store), "FILE": str(file)}
        found = run([*(paths.get(word, word) for word in command.words), *more], **circumstance)
        assert KEY not in found.out + found.err
        assert "Traceback" not in found.out + found.err
        assert "Exception ignored" not in found.err
        return found

    ran.effects = lambda: service.do(lambda simulator: len(simulator.effects_log))
    return ran


def fits(text, columns):
    return all(len(line) <= columns for line in ESCAPES.sub("", text).splitlines())


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_at_a_terminal(ended, command, columns):
    found = ended(command, columns=columns)
    assert found.code == command.code
    assert found.out.strip()
    # The answer to a request is its reader's, and so is the width of it; a line of doctor is one line.
    if command.words[0] not in {"request", "doctor"}:
        assert fits(found.out, columns)
    assert ended.effects() == command.writes


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_in_a_pipe(ended, command):
    found = ended(command)
    assert found.code == command.code
    assert "\x1b" not in found.out + found.err
    assert bool(found.out) != command.silent
    assert found.err == ("Nothing is unresolved.\n" if command.silent else "")
    assert ended.effects() == command.writes


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.json], ids=str)
def test_as_json(ended, command):
    found = ended(command, "--json")
    assert (found.code, found.err) == (command.code, "")
    shown = json.loads(found.out)
    if command.writes and command.words[0] != "request":
        assert shown["outcome"] == "applied"
    assert ended.effects() == command.writes


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_without_colours(ended, command, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    found = ended(command, columns=80)
    assert found.code == command.code
    assert not COLOURS.search(found.out)


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("make", [full_disk, closed_pipe])
@pytest.mark.parametrize("command", [*COMMANDS, Command(("simulate", "--port", "0"))], ids=str)
def test_where_nothing_can_be_written(ended, command, make):
    found = ended(command, stdout=make())
    assert (found.code, found.out) == (0 if command.silent else 74, "")
    told = "What happened: " in found.err
    assert told == command.writes
    if command.writes:
        assert "applied" in found.err or "was answered with 200" in found.err
    elif not command.silent:
        # Whoever closes a pipe has seen enough; whose disk is full has not.
        assert found.err == ("output lost  No space left on device\n" if make is full_disk else "")
    assert ended.effects() == command.writes


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", ASKING, ids=str)
def test_a_signal(ended, service, command, number, code):
    delay = Fault.delay(0.3 if command.writes else 20.0, operation=command.asks, times=None)
    service.do(lambda simulator: simulator.inject(delay))
    found = ended(command, kill=(number, lambda: service.simulator.received(command.asks)))
    assert (found.code, found.out) == (code, "")
    assert found.err.splitlines()[-1].startswith(
        "interrupted, applied" if command.writes and command.words[0] != "request" else "interrupted, "
    ) or (command.words[0], "unknown" in found.err) == ("activate-items", True)
    assert ended.effects() == command.writes


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_service_that_hangs(ended, service, monkeypatch, command, form):
    if form and not command.json:
        return
    monkeypatch.setattr(connection, "TIMEOUTS", Timeouts(connect=0.3, read=0.1, total=0.4))
    service.do(lambda simulator: simulator.inject(Fault.hang_after_effect(times=None)))
    found = ended(command, *form)
    unknown = command.writes and not command.reads_first
    assert found.code == (3 if unknown else 1 if command.asks else command.code)
    if unknown:
        assert "unknown" in (found.out if form else found.err)
    if form:
        json.loads(found.out)
    elif command.asks and command.words[0] != "doctor":
        assert found.out == ""
    assert ended.effects() == unknown


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_service_that_is_away(ended, monkeypatch, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(connection, "TIMEOUTS", Timeouts(total=0.3))
        monkeypatch.setenv("FUSEBILL_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        found = ended(command)
    assert found.code == (1 if command.asks else command.code)
    if command.words[0] == "doctor":
        assert "wrong  read" in found.out
    elif command.asks:
        assert found.out == ""
        assert found.err.startswith("not sent  ")


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_wrong_key(ended, service, command):
    service.do(lambda simulator: simulator.inject(Fault.status(401, times=None)))
    found = ended(command)
    assert found.code == (1 if command.asks else command.code)
    if command.words[0] == "doctor":
        assert "wrong  read" in found.out
    elif command.asks:
        assert found.out == ""
        assert "FUSEBILL_API_KEY must hold a key" in found.err
    assert ended.effects() == 0


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_no_key(ended, monkeypatch, command, form):
    if form and not command.json:
        return
    monkeypatch.delenv("FUSEBILL_API_KEY")
    found = ended(command, *form)
    if command.words[0] in LOCAL:
        assert found.code == command.code
        return
    assert found.code == 2
    if form:
        assert json.loads(found.out)["error"] == "ConfigurationError"
    else:
        assert (found.out, "FUSEBILL_API_KEY is not set" in found.err) == ("", True)
    assert ended.effects() == 0
