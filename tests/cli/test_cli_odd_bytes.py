"""Odd bytes in a customer do not end a command."""

import csv
import io
import json

import pytest


@pytest.fixture
def odd(fusebill):
    """A customer with half a surrogate pair in a text, as a cut in the middle of an emoji leaves it."""
    texts = {"firstName": b'"\\ud83d"', "odd": b'["\\ude00", "a  \\" b"]', "lastName": b'"Lee"'}
    fusebill.add_customer(id=1, reference="A-1", raw=texts)


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--columns", "id,first_name"],
        ["get", "1"],
        ["find", "--reference", "A-1"],
        ["update", "1", "company_name=x"],
        ["update", "1", "first_name=Ann", "--dry-run"],
        ["hold", "1"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
async def test_a_command_works_on_a_customer_with_half_a_character(cli, odd, words, form):
    ran = await cli(*words, *form)
    assert (ran.code, ran.err if form else "") == (0, "")
    if form:
        assert json.loads(ran.out)


async def test_a_customer_with_half_a_character_is_a_row_of_csv(cli, odd):
    ran = await cli("list", "--format", "csv", "--columns", "id,first_name,last_name")
    assert [*csv.reader(io.StringIO(ran.out))] == [["id", "first_name", "last_name"], ["1", "\ufffd", "Lee"]]


async def test_json_keeps_what_came(cli, odd):
    for words in (["get", "1"], ["list"]):
        ran = await cli(*words, "--json")
        assert '"firstName":"\\ud83d"' in ran.out
    # A customer of a list is one line, and white space in a text stays.
    assert '"odd":["\\ude00","a  \\" b"]' in ran.out
