"""The table of mutations is sound, and a few of its changes are noticed here. All: `python -m tests.mutations`."""

import pytest

from tests.mutations.__main__ import ROOT, can_be_made, changed, copied, is_green
from tests.mutations.table import MUTATIONS

CHEAP = ("a-short-quiet-period", "suspended-is-no-success", "missing-is-none-left")
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_can_be_made_and_names_a_test(mutation):
    assert can_be_made(mutation)
    assert mutation.old != mutation.new
    for test in mutation.test.split():
        path, _, name = test.partition("::")
        assert (ROOT / path).exists()
        assert not name or f"def {name}(" in (ROOT / path).read_text()


def test_no_two_have_one_name():
    assert len(BY_NAME) == len(MUTATIONS)


@pytest.mark.parametrize("name", CHEAP)
def test_a_change_is_noticed(name, tmp_path):
    mutation, copy = BY_NAME[name], copied(tmp_path)
    tests = mutation.test.split()
    assert is_green(copy, tests)
    with changed(copy, mutation):
        assert not is_green(copy, tests)
