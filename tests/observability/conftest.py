"""The matrix that is seen once more has a short form, for every run, and a whole one by `--whole`."""

from __future__ import annotations

import pytest

_SHORT = {"hold", "activate", "update", "create", "activate_items", "get"}
"""One verb of each kind."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--whole"):
        return
    kept, dropped = [], []
    for item in items:
        verb = getattr(getattr(item, "callspec", None), "params", {}).get("verb")
        is_long = item.path.name == "test_the_matrix_is_seen.py" and verb is not None and verb.name not in _SHORT
        (dropped if is_long else kept).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
