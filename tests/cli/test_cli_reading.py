"""What is read can be used by a program and by a spreadsheet, however long and odd it is."""

from __future__ import annotations

import csv
import io

import pytest

from fusebill_async.testing import Fault
from tests.cli.terminals import at_a_terminal

LONG = "Long " * 60 + "end"


@pytest.mark.parametrize("words", [["list"], ["find", "--reference", "A-1"]], ids=" ".join)
async def test_a_table_in_a_pipe_is_neither_wrapped_nor_cut(cli, fusebill, words):
    fusebill.add_customer(id=1, reference="A-1", company_name=LONG, primary_email="a\tb\nc@example.com")
    ran = await cli(*words)
    header, row = ran.out.splitlines()
    cells = dict(zip(header.split("\t"), row.split("\t"), strict=True))
    assert cells["company_name"] == LONG
    assert cells["primary_email"] == "a\\tb\\nc@example.com"


async def test_get_in_a_pipe_is_neither_wrapped_nor_cut(cli, fusebill):
    fusebill.add_customer(id=1, company_name=LONG)
    assert f"company_name\t{LONG}" in (await cli("get", "1")).out.splitlines()
    fusebill.add_customer(id=2)
    both = (await cli("get", "1", "2")).out
    assert [block.count("\nid\t") for block in ("\n" + both).split("\n\n")] == [1, 1]


@pytest.mark.parametrize("columns", [80, 160])
async def test_a_table_at_a_terminal_fits(start, fusebill, columns):
    fusebill.add_customer(id=1, company_name=LONG)
    for number in range(2, 900):
        fusebill.add_customer(id=number)
    seen = await at_a_terminal(start, "list", columns=columns)
    lines = seen.text.splitlines()
    assert seen.code == 0
    assert max(map(len, lines)) <= columns
    assert len([line for line in lines if line[:1].isdigit()]) == 899
    assert len([line for line in lines if line.startswith("id ")]) == 2


async def test_a_spreadsheet_runs_no_cell(cli, fusebill):
    formulas = {1: "=cmd|' /C calc'!A0", 2: "+1+1", 3: "-1+1", 4: "@SUM(A1)", 5: "Grok = Ltd"}
    for number, name in formulas.items():
        fusebill.add_customer(id=number, company_name=name, raw={"monthlyRecurringRevenue": b"-25.9800"})
    command = ["list", "-o", "csv", "--columns", "id,company_name,monthly_recurring_revenue"]
    plain = [*csv.DictReader(io.StringIO((await cli(*command)).out))]
    assert {int(row["id"]): row["company_name"] for row in plain} == formulas
    excel = (await cli(*command, "--excel")).out
    assert excel.startswith("\ufeffid,")
    rows = [*csv.DictReader(io.StringIO(excel.removeprefix("\ufeff")))]
    assert [row["company_name"] for row in rows] == [f"'{formulas[n]}" for n in (1, 2, 3, 4)] + ["Grok = Ltd"]
    assert {row["monthly_recurring_revenue"] for row in rows} == {"-25.9800"}


@pytest.mark.parametrize("form", ["json", "jsonl"])
async def test_an_error_before_the_first_is_an_object(cli, fusebill, form):
    fusebill.inject(Fault.status(403, times=None))
    ran = await cli("list", "-o", form)
    assert (ran.code, ran.err, ran.object["error"]) == (1, "", "PermissionDeniedError")


@pytest.mark.parametrize(("form", "text"), [("json", "[]\n"), ("jsonl", ""), ("csv", "id,status\n")])
async def test_nobody_is_a_whole_document_too(cli, form, text):
    ran = await cli("list", "-o", form, "--columns", "id,status")
    assert (ran.code, ran.out, ran.err) == (1, text, "No customer matches.\n")
