"""The file of a job: what is taken, and what is a bad row."""

from __future__ import annotations

import pytest

from fusebill_async.bulk import BadRow
from fusebill_async.cli.bulk_input import FileInput
from fusebill_async.errors import ValidationError
from fusebill_async.operations import ACTIVATE_ITEMS, HOLD, RELEASE_HOLD, UPDATE


def rows(tmp_path, text, operation=HOLD, name="in.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    given = FileInput(str(path), operation, **options)
    return list(given), given


@pytest.mark.parametrize(
    "text",
    [
        "id\n1\n2\n", "\ufeffid\n1\n2\n", "id\r\n1\r\n2\r\n", 'ID\n"1"\n"2"\n', "Customer_Id\n1\n 2 \n",
        "id\n1\n\n2", "customerId\n1\n2\n",
    ],
)  # fmt: skip
def test_ids_of_a_csv(tmp_path, text):
    assert rows(tmp_path, text)[0] == [1, 2]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1.2E+07", "line 3: '1.2E+07' is no id: a spreadsheet has changed it: format the column as text"),
        ('"12,000"', "line 3: '12,000' is no id: a spreadsheet has changed it"),
        ("7.0", "a spreadsheet has changed it"),
        ("0", "line 3: '0' is no id: an id is a whole number"),
        ("1" * 5000, "is no id: an id is a whole number"),
        ("x", "an id is a whole number from 1 to 2**63 - 1"), ("٣", "is no id"),
        ("9223372036854775808", "is no id"), ("", "is no id"),
    ],
)  # fmt: skip
def test_an_id_is_never_guessed(tmp_path, cell, why):
    found, _ = rows(tmp_path, f"id,name\n1,a\n{cell},b\n3,c\n", ignore_columns=True)
    assert (found[0], found[2]) == (1, 3)
    assert isinstance(found[1], BadRow)
    assert why in found[1].reason


def test_a_row_of_another_width_is_bad(tmp_path):
    found, _ = rows(tmp_path, "id,name\n1,a,b\n2,c\n", ignore_columns=True)
    assert found == [BadRow("line 2: it has 3 cells, and the first line has 2"), 2]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"), ("name\nx\n", "needs one column named id"), ("id,customer_id\n1,1\n", "needs one column"),
        ("id,a,A\n1,2,3\n", "two columns of one name"), (b"id\n\xff\xfe\n", "is not UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read(tmp_path, text, why):
    with pytest.raises(ValidationError, match=why):
        rows(tmp_path, text)


def test_a_file_that_is_not_there():
    with pytest.raises(ValidationError, match="cannot be read: No such file"):
        list(FileInput("nothing.csv", HOLD))


def test_columns_of_an_update_are_fields(tmp_path):
    text = "company_name,id,customer_reference.reference1,parentId\nGrok,1,A-1,5\n,2,\\N,\nx,3,,perhaps\n"
    found, given = rows(tmp_path, text, UPDATE)
    assert found[0][1]["company_name"] == "Grok"
    assert found[0][1]["customer_reference"] == {"reference1": "A-1"}
    assert found[1] == (2, {"customer_reference": {"reference1": None}})
    assert given.erased == {"customer_reference.reference1": 1}
    assert given.empty["company_name"] == 1


def test_columns_of_an_operation_with_options_are_its_options(tmp_path):
    text = "id,serviceStartOption,show_zero_dollar_charges,note\n1,ChargeForCurrentFullPeriod,TRUE,x\n2,,,\n3,,maybe,\n"
    found, given = rows(tmp_path, text, RELEASE_HOLD, ignore_columns=True)
    assert found[0] == (1, {"service_start_option": "ChargeForCurrentFullPeriod", "show_zero_dollar_charges": True})
    assert found[1] == 2
    assert found[2].reason.startswith("line 4: show_zero_dollar_charges must be true or false")
    assert given.unused == ["note"]
    found, _ = rows(tmp_path, 'id,subscription_ids\n1,"7,8"\n2,[9]\n', ACTIVATE_ITEMS)
    assert found == [(1, {"subscription_ids": [7, 8]}), (2, {"subscription_ids": [9]})]


def test_json_lines(tmp_path):
    text = '1\n{"id": 2}\n\n{"customerId": 3, "company_name": null}\n{"id": "4"}\n{}\nnonsense\n5.5\n'
    found, _ = rows(tmp_path, text, UPDATE, "in.jsonl")
    assert found[:3] == [1, 2, (3, {"company_name": None})]
    reasons = [row.reason for row in found[3:]]
    assert [reason.partition(":")[0] for reason in reasons] == ["line 5", "line 6", "line 7", "line 8"]
    assert rows(tmp_path, "[]\n7\n", HOLD, "in.txt", form="jsonl")[0][1] == 7
