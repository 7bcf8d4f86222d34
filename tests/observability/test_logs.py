"""The log tells what happened, in order, and nothing about a person."""

import logging
import re
import sys
from contextlib import suppress
from importlib import resources
from io import StringIO

import pytest

from fusebill_async import ConfigurationError, FusebillClient, FusebillError, NotFoundError, SettlingPolicy
from fusebill_async.observability import log_to_stderr
from fusebill_async.testing import Fault
from tests.outcomes.outcome_cases import KEY, VERBS, make_client

pytestmark = pytest.mark.fusebill_simulated(seed=3)

PERSON = {
    "first_name": "Zebulon",
    "last_name": "Quuxington",
    "company_name": "Xyzzy Ltd",
    "primary_email": "zebulon@quuxington.example",
    "primary_phone": "5550199",
}


@pytest.fixture
async def fusebill(fusebill_simulator):
    return fusebill_simulator


def told(caplog, lowest=logging.DEBUG):
    return [record.getMessage() for record in caplog.records if record.levelno >= lowest]


async def test_a_lost_activation_is_told_in_order(fusebill, caplog):
    caplog.set_level(logging.DEBUG, "fusebill_async")
    fusebill.add_customer(id=7, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
    async with make_client(fusebill) as client:
        await client.customers.activate(7, True, True, False)
    story = told(caplog)
    assert len(story) < 10
    wanted = [
        "customers.activate of customer 7 begins",
        "customers.activate of customer 7: POST was sent",
        "customers.activate of customer 7 was sent and got no usable answer",
        "customers.get of customer 7: GET was answered 200",
        "customers.activate of customer 7 is settled: applied, unproven",
        "customers.activate of customer 7 ended: applied, confirmed by read, unproven",
    ]
    places = [next(place for place, line in enumerate(story) if line.startswith(beginning)) for beginning in wanted]
    assert places == sorted(places)


async def test_the_guide_shows_the_log_as_it_is(fusebill, caplog):
    caplog.set_level(logging.DEBUG, "fusebill_async")
    fusebill.add_customer(id=7, status="Draft")
    fusebill.inject(Fault.close_after_effect(operation="activate"))
    async with FusebillClient(KEY, base_url=fusebill.base_url) as client:
        await client.customers.activate(7, True, True, False)
    guide = (resources.files("fusebill_async") / "guides" / "seeing.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```text\n(customers\.activate.*?)\n```", guide, re.DOTALL)
    assert without_times(told(caplog)) == without_times(shown.splitlines())


def without_times(lines):
    return [re.sub(r"\d+ ms", "- ms", line) for line in lines]


async def test_as_it_comes_only_what_is_unknown_is_told(fusebill, caplog):
    caplog.set_level(logging.WARNING, "fusebill_async")
    fusebill.add_customer(id=1, status="Active")
    async with make_client(fusebill) as client:
        await client.customers.hold(1)
        with pytest.raises(NotFoundError):
            await client.customers.get(2)
    assert told(caplog) == []


@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
async def test_an_unknown_outcome_is_a_warning(fusebill, caplog):
    caplog.set_level(logging.WARNING, "fusebill_async")
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_after_effect(operation="hold"))
    async with make_client(fusebill, settling=SettlingPolicy(enabled=False)) as client:
        with pytest.raises(FusebillError):
            await client.customers.hold(1)
    assert any(line.startswith("customers.hold of customer 1 ended: unknown") for line in told(caplog))


async def test_the_facts_stand_in_the_record(fusebill, caplog):
    caplog.set_level(logging.DEBUG, "fusebill_async")
    fusebill.add_customer(id=1)
    async with make_client(fusebill) as client:
        await client.customers.get(1)
    ended = next(record for record in caplog.records if " ended: " in record.getMessage())
    assert (ended.fusebill_operation, ended.fusebill_customer_id, ended.fusebill_attempts) == ("customers.get", 1, 1)


FAULTS = [
    Fault.reset_after_effect(),
    Fault.status(400),
    Fault.status(500),
    Fault.html(),
    Fault.cut_body(),
    Fault.other_id(other=77),
]


@pytest.mark.filterwarnings("ignore::fusebill_async.UnresolvedWritesWarning")
@pytest.mark.parametrize("verb", VERBS.values(), ids=str)
async def test_nothing_about_a_person_and_no_key_is_told(fusebill, caplog, verb):
    caplog.set_level(logging.DEBUG, "fusebill_async")
    fusebill.add_customer(id=77, **PERSON)
    for number, fault in enumerate(FAULTS, 100):
        fusebill.add_customer(id=number, status=verb.status, **PERSON)
        fusebill.inject(fault)
        async with make_client(fusebill) as client:
            with suppress(FusebillError):
                await verb.call(client.with_response, number)
    shown = "\n".join(f"{record.getMessage()} {sorted(vars(record).items())}" for record in caplog.records)
    assert verb.name in shown or verb.title in shown
    for secret in (*PERSON.values(), KEY):
        assert secret not in shown


def test_a_level_that_there_is_not(monkeypatch):
    monkeypatch.setenv("FUSEBILL_API_KEY", "key")
    monkeypatch.setenv("FUSEBILL_LOG", "loud")
    with pytest.raises(ConfigurationError, match="FUSEBILL_LOG must be debug"):
        FusebillClient.from_env()


@pytest.fixture
def own_logger():
    """The package's logger, left as it was."""
    logger = logging.getLogger("fusebill_async")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_the_log_is_shown_on_standard_error(own_logger, capsys):
    log_to_stderr("info")
    log_to_stderr("info")
    own_logger.info("told once")
    assert capsys.readouterr().err.count("told once") == 1


def test_the_last_level_holds_on_the_standard_error_of_the_moment(own_logger, monkeypatch):
    # As with FUSEBILL_LOG and `-v` at once, in a program that redirects standard error later on.
    for level, wanted in (("debug", True), ("WARNING", False), ("Info", True)):
        log_to_stderr(level)
        stderr = StringIO()
        monkeypatch.setattr(sys, "stderr", stderr)
        own_logger.info("a line")
        assert ("a line" in stderr.getvalue()) is wanted


def test_a_wrong_level_leaves_the_log_as_it_was(own_logger):
    before = list(own_logger.handlers), own_logger.level
    with pytest.raises(ValueError, match="LOUD"):
        log_to_stderr("loud")
    assert (own_logger.handlers, own_logger.level) == before
