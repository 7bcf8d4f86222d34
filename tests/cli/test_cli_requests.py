"""`request` and `quota`."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota
from tests.cli.conftest import finish

PDF = b"%PDF-1.7\n\x00\xff\xfe"


async def test_json_keeps_its_digits(cli, fusebill):
    fusebill.add_route("GET", "/plans", b'[{"amount":25.9800,"name":"caf\xc3\xa9"}]')
    for form in ([], ["--json"]):
        ran = await cli("request", "get", "/plans", "-q", "query=status:Active", "--query", "pageSize=5", *form)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == '[{"amount":25.9800,"name":"café"}]\n'
    assert fusebill.requests[-1].query == {"query": "status:Active", "pageSize": "5"}


async def test_a_body_from_a_file_and_from_standard_input(cli, start, fusebill, tmp_path):
    fusebill.add_route("POST", "/customerNotes", {"id": 7})
    file = tmp_path / "body.json"
    file.write_bytes(b'\xef\xbb\xbf{"note": 1.50}')
    ran = await cli("request", "POST", "/customerNotes", "--body", str(file))
    assert (ran.code, ran.object) == (0, {"id": 7})
    ran = await finish(
        await start("request", "POST", "/customerNotes", "--body", "-", stdin=asyncio.subprocess.PIPE),
        b'{"note": 1.50}',
    )
    assert ran.code == 0
    assert [request.body for request in fusebill.requests] == [b'{"note":1.50}'] * 2


async def test_bytes_go_to_a_file_or_into_a_pipe(cli, start, fusebill, tmp_path):
    fusebill.add_route("GET", "/invoices/pdf/7", PDF, content_type="application/pdf")
    fusebill.add_route("GET", "/invoices/text/7", b"thank you", content_type="text/plain")
    assert (await cli("request", "GET", "/invoices/text/7")).out == "thank you\n"
    file = tmp_path / "invoice.pdf"
    ran = await cli("request", "GET", "/invoices/pdf/7", "--output", str(file))
    assert (ran.code, ran.out, file.read_bytes()) == (0, "", PDF)
    process = await start("request", "GET", "/invoices/pdf/7")
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, PDF)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["GET", "/plans", "-q", "x"], "name=value"),
        (["GET", "/plans", "-q", "x=1", "-q", "x=2"], "twice"),
        (["GET", "plans"], "path"),
        (["TRACE", "/plans"], "method"),
        (["POST", "/plans", "--body", "/nowhere/at all"], "cannot be read"),
        (["POST", "/plans", "--output", "/nowhere/at all"], "cannot be written"),
        (["POST", "/plans", "--body", __file__], "no JSON"),
    ],
)
async def test_what_cannot_be_sent_is_refused_first(cli, fusebill, words, told):
    ran = await cli("request", *words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert not fusebill.requests


@pytest.mark.parametrize(("method", "code"), [("GET", 1), ("POST", 3), ("DELETE", 3)])
async def test_a_write_without_an_answer_is_unknown_and_a_read_is_not(cli, fusebill, method, code):
    fusebill.inject(Fault.reset_after_effect(times=None))
    ran = await cli("request", method, "/subscriptions/7", "--json")
    assert (ran.code, ran.object["operation"]) == (code, "client.request")
    if method != "GET":
        assert len(fusebill.requests) == 1


async def test_a_write_whose_output_is_lost_says_that_it_was_answered(start, fusebill):
    fusebill.add_route("POST", "/subscriptions", {"id": 7})
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        ran = await finish(await start("request", "POST", "/subscriptions", stdout=descriptor))
    finally:
        os.close(descriptor)
    assert ran.code == 74
    assert "POST /subscriptions was answered with 200" in ran.err


async def test_the_quota(cli, monkeypatch):
    async with FusebillSimulator(quota=SimulatorQuota.sandbox()) as fusebill:
        monkeypatch.setenv("FUSEBILL_BASE_URL", fusebill.base_url)
        shown = json.loads((await cli("quota", "--json")).out)
        assert [shown["minute"][name] for name in ("limit", "remaining")] == [50, 49]
        ran = await cli("quota")
        assert (ran.code, ran.out.startswith("this minute: 48 of 50 calls left, until ")) == (0, True)
        assert "this day: 4998 of 5000 calls left" in ran.out
        assert len(fusebill.requests) == 2
