"""`doctor` tells what is configured, tries it, and never shows the key."""

from __future__ import annotations

import pytest

from fusebill_async.testing import ClockSkew, Fault, FusebillSimulator


def by_name(ran):
    return {check["name"]: (check["fine"], check["text"]) for check in ran.object}


async def test_everything_is_fine(cli, fusebill, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:1")
    ran = await cli("doctor", "--json")
    found = by_name(ran)
    assert ran.code == 0
    assert {name for name, (fine, _) in found.items() if fine} == {"key", "DNS", "read", "clock"}
    assert fusebill.base_url in found["base URL"][1]
    assert "FUSEBILL_BASE_URL" in found["base URL"][1]
    assert "https" in found["proxy"][1]
    assert "secret" not in ran.out
    assert "of 1000000 this minute" in found["quota"][1]
    assert [request.method for request in fusebill.requests] == ["GET"]
    people = await cli("doctor")
    assert people.code == 0
    assert len(people.out.splitlines()) == len(found)


async def test_a_read_that_fails_is_told_with_the_rest(cli, fusebill):
    fusebill.inject(Fault.status(403, times=None))
    ran = await cli("doctor", "--json")
    assert ran.code == 1
    assert by_name(ran)["read"][0] is False
    assert by_name(ran)["DNS"][0] is True


@pytest.mark.parametrize(("skew", "fine"), [(-600.0, False), (0.0, True)])
async def test_clocks_that_are_apart_are_told(cli, monkeypatch, skew, fine):
    async with FusebillSimulator(clock_skew=ClockSkew(date=skew)) as fusebill:
        monkeypatch.setenv("FUSEBILL_BASE_URL", fusebill.base_url)
        ran = await cli("doctor", "--json")
    assert (ran.code, by_name(ran)["clock"][0]) == (0 if fine else 1, fine)


async def test_no_key_is_configuration(cli, monkeypatch):
    monkeypatch.delenv("FUSEBILL_API_KEY")
    ran = await cli("doctor")
    assert (ran.code, ran.out) == (2, "")
    assert "FUSEBILL_API_KEY" in ran.err
