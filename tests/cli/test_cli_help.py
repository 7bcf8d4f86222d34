"""Finding out: `help`, `guide`, what is missing, the log; and what is seen with OpenTelemetry."""

from __future__ import annotations

import os

import pytest

from fusebill_async.cli.app import make_app
from fusebill_async.observability import logs
from tests.cli.conftest import finish
from tests.cli.terminals import at_a_terminal
from tests.docs.documents import GUIDES


@pytest.mark.parametrize("words", [[], ["hold"], ["hubspot", "latch"], ["list"]], ids=" ".join)
async def test_help_is_a_command_too(cli, words):
    asked = await cli("help", *words)
    assert (asked.code, asked.err) == (0, "")
    assert asked.out == (await cli(*words, "--help")).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["help", "bogus"], "there is no command bogus"),
        (["guide", "outcoms"], "did you mean outcomes?"),
        (["guide", "xyz"], "there are bulk, calls, "),
        (["cancel", "1"], "cancel needs --cancellation-option None|Unearned|Full"),
        (["netsuite", "latch"], "netsuite latch needs ID and --netsuite-id"),
        (["cancel", "1", "--cancellation-option"], "--cancellation-option None|Unearned|Full is without a value"),
    ],
)
async def test_what_is_wrong_or_missing_is_named_at_once(cli, fusebill, words, told):
    ran = await cli(*words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert not fusebill.requests


async def test_the_guides_are_listed_with_their_first_lines(cli):
    ran = await cli("guide")
    assert (ran.code, ran.err) == (0, "")
    rows = dict(line.split("\t") for line in ran.out.splitlines())
    assert set(rows) == {path.stem for path in GUIDES.glob("*.md")}
    assert rows["quota"] == "The quota"


async def test_a_guide_in_a_pipe_is_its_file(start):
    for name in ("outcomes", "doing-it-once"):
        ran = await finish(await start("guide", name, PYTHONIOENCODING="ascii", FUSEBILL_API_KEY=None))
        assert (ran.code, ran.out) == (0, (GUIDES / f"{name.replace('-', '_')}.md").read_text())


async def test_a_guide_on_a_terminal_is_laid_out(start):
    seen = await at_a_terminal(start, "guide", "errors")
    assert seen.code == 0
    assert "\x1b[" in seen.raw
    assert "```" not in seen.text
    assert max(map(len, seen.text.splitlines())) <= 80
    seen = await at_a_terminal(start, "guide")
    assert (seen.code, "fusebill-async guide NAME" in seen.text) == (0, True)


@pytest.mark.parametrize("words", [["get", "1"], ["hold", "1", "--json"]], ids=" ".join)
async def test_verbose_shows_the_log_on_stderr(start, fusebill, words):
    fusebill.add_customer(id=1, status="Active")
    quiet = await finish(await start(*words))
    assert (quiet.code, quiet.err) == (0, "")
    fusebill.change(1, status="Active")
    loud = await finish(await start(*words, "-v", FUSEBILL_LOG="warning"))
    assert loud.code == 0
    assert f"DEBUG   customers.{words[0]} of customer 1 begins" in loud.err
    assert "DEBUG" not in loud.out


def test_every_command_takes_verbose():
    app = make_app()
    commands = [app[name] for name in app if not name.startswith("-")]
    commands += [group[name] for group in commands for name in group if not name.startswith("-")]
    leaves = [one for one in commands if one.default_command is not None]
    assert len(leaves) > 30
    for command in leaves:
        names = {name for one in command.assemble_argument_collection() for name in one.names}
        assert {"-v", "--verbose"} <= names, command.name


async def test_the_account_has_a_name(cli, fusebill, tmp_path):
    fusebill.add_customer(id=1, status="Active")
    keyed = ["hold", "1", "--store", str(tmp_path / "store.sqlite"), "--idempotency-key", "k", "--json"]
    assert (await cli(*keyed, "--account", "ours")).object["replayed"] is False
    assert (await cli(*keyed, "--account", "ours")).object["replayed"] is True
    other = await cli(*keyed, "--account", "theirs")
    assert (other.code, other.object["outcome"]) == (1, "rejected")
    assert (await cli("hold", "1", "--account", "")).code == 1


async def test_an_empty_variable_names_no_store(cli, fusebill, monkeypatch):
    monkeypatch.setenv("FUSEBILL_STORE", "")
    monkeypatch.setenv("FUSEBILL_ACCOUNT", "")
    fusebill.add_customer(id=1, status="Active")
    assert (await cli("hold", "1")).code == 0


async def test_a_global_provider_of_opentelemetry_is_used(start, fusebill, tmp_path):
    fusebill.add_customer(id=1, status="Active")
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "spans = InMemorySpanExporter()\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(spans))\n"
        "trace.set_tracer_provider(provider)\n"
        "atexit.register(lambda: sys.stderr.write(' '.join(s.name for s in spans.get_finished_spans())))\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ran = await finish(await start("hold", "1", PYTHONPATH=path))
    assert ran.code == 0
    assert "fusebill customers.hold" in ran.err


@pytest.fixture(autouse=True)
def the_log_as_it_was():
    handlers, level = list(logs.logger.handlers), logs.logger.level
    yield
    logs.logger.handlers[:] = handlers
    logs.logger.setLevel(level)
