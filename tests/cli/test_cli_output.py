"""What was done is told, wherever the output goes: full disks, closed pipes, other encodings, files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest

from fusebill_async.cli import connection
from fusebill_async.settings import SettlingPolicy
from fusebill_async.testing import Fault
from tests.cli.conftest import finish

MARK = b"\xef\xbb\xbf"
NAMES = {
    "1": "carriage\rreturn",
    "2": "Zo\u00eb \U0001f600 Ltd",
    "3": 'line\nfeed, and "quotes"',
    "4": "\u0141\u00f3d\u017a",
}


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("make", [full_disk, closed_pipe])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["hold", "1"], "applied  customers.hold of customer 1"),
        (["hold", "1", "--json"], "applied  customers.hold of customer 1"),
        (["update", "1", "company_name=x"], "applied  customers.update of customer 1"),
        (["hold", "2", "--json"], "rejected  customers.hold of customer 2"),
        (["get", "1"], ""),
        (["get", "1", "--json"], ""),
        (["list"], ""),
        (["list", "-o", "csv"], ""),
        (["list", "--json"], ""),
        (["--help"], ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_output_that_cannot_be_written_ends_with_74(start, fusebill, make, words, told):
    fusebill.add_customer(id=1, status="Active")
    fusebill.add_customer(id=2, status="Cancelled")
    descriptor = make()
    try:
        ran = await finish(await start(*words, stdout=descriptor))
    finally:
        os.close(descriptor)
    assert ran.code == 74
    assert told in ran.err
    assert "Traceback" not in ran.err
    assert "Exception ignored" not in ran.err
    if make is full_disk:
        assert "No space left on device" in ran.err
    elif not told:
        # Whoever reads the pipe has seen enough.
        assert ran.err == ""
    assert fusebill.effects("hold", 1) == (words[:2] == ["hold", "1"])


async def test_a_closed_standard_output_hides_no_outcome(fusebill, start):
    fusebill.add_customer(id=1, status="Active")
    environment = os.environ | {"FUSEBILL_API_KEY": "key", "FUSEBILL_BASE_URL": fusebill.base_url}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", 'exec "$0" -m fusebill_async hold 1 >&-', sys.executable,
        env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    ran = await finish(process)
    assert ran.code == 74
    assert "applied  customers.hold of customer 1" in ran.err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
async def test_a_write_that_stays_unknown_ends_with_3(cli, fusebill, monkeypatch, form):
    monkeypatch.setattr(
        connection, "SETTLING", SettlingPolicy(first_read=0.01, quiet_period=0.1, wait=0.3, close_wait=0.1)
    )
    fusebill.add_customer(id=1, status="Active")
    fusebill.inject(Fault.reset_after_effect(operation="hold"), Fault.status(503, operation="get", times=None))
    ran = await cli("hold", "1", *form)
    assert ran.code == 3
    assert "unknown" in (ran.out if form else ran.err)
    if not form:
        # Without a store nobody can settle it later, so a person must look.
        assert "Look before you send it again: fusebill-async get 1" in " ".join(ran.err.split())
    assert fusebill.effects("hold", 1) == 1


async def test_a_read_that_fails_is_not_unknown(cli, fusebill):
    fusebill.inject(Fault.status(503, operation="get", times=None))
    assert (await cli("get", "1")).code == 1


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
async def test_csv_reads_back_whatever_the_encoding_of_the_terminal(start, fusebill, encoding):
    for number, name in NAMES.items():
        fusebill.add_customer(id=int(number), company_name=name)
    process = await start("list", "-o", "csv", "--columns", "id,company_name", PYTHONIOENCODING=encoding)
    out, _ = await process.communicate()
    rows = csv.DictReader(io.StringIO(out.decode("utf-8"), newline=""))
    assert (process.returncode, {row["id"]: row["company_name"] for row in rows}) == (0, NAMES)


@pytest.mark.parametrize(
    "words",
    [
        ["status=Hold", "--allow-status-change"],
        ["--null", "customer_reference", "--allow-erase", "customer_reference"],
    ],
)
async def test_a_dry_run_honours_the_other_options(cli, fusebill, words):
    fusebill.add_customer(id=1, status="Active")
    planned = await cli("update", "1", *words, "--dry-run", "--json")
    assert (planned.code, fusebill.effects("update")) == (0, 0)
    done = await cli("update", "1", *words, "--json")
    assert (done.code, fusebill.effects("update")) == (0, 1)
    assert planned.object["changes"] == done.object["changes"]


@pytest.mark.parametrize("words", [["-"], ["--", "-"]], ids=" ".join)
@pytest.mark.parametrize("mark", [b"", MARK], ids=["plain", "marked"])
async def test_replace_reads_standard_input(start, fusebill, words, mark):
    fusebill.add_customer(id=1, first_name="Ann")
    body = fusebill.customer_bytes(1).replace(b'"Ann"', b'"Eve"')
    ran = await finish(await start("replace", *words, stdin=asyncio.subprocess.PIPE), mark + body)
    assert (ran.code, fusebill.effects("update", 1)) == (0, 1)
    assert fusebill.customer(1)["firstName"] == "Eve"


async def test_replace_reads_a_file_with_a_byte_order_mark(cli, fusebill, tmp_path):
    fusebill.add_customer(id=1, first_name="Ann")
    file = tmp_path / "customer.json"
    file.write_bytes(MARK + json.dumps(json.loads(fusebill.customer_bytes(1)) | {"firstName": "Eve"}).encode())
    assert (await cli("replace", str(file))).code == 0
    assert fusebill.customer(1)["firstName"] == "Eve"
