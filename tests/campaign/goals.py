"""Does the goal of an operation stand? Judged from the table, with a comparing of its own, as an oracle must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusebill_async.operations import FieldIs, FieldsAre, FieldsAreNull, FieldsAsNamed, Operation, StatusIs


def stands(operation: Operation, named: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a customer shows what an operation is for.

    Args:
        operation: of the table.
        named: what was sent, by keys of the wire; of an update by dotted paths.
        document: the customer as it truly is.
    """
    match operation.goal:
        case StatusIs(statuses):
            return document["status"] in statuses
        case FieldsAreNull(keys):
            return all(document[key] is None for key in keys)
        case FieldIs(key, value):
            return bool(document[key] == value)
        case FieldsAre(keys):
            return all(document[key] == named[sent] for key, sent in keys if sent in named)
        case FieldsAsNamed():
            return all(at_path(document, path) == value for path, value in named.items())
        case _:
            return False


def at_path(document: Any, path: str) -> Any:
    """The value under a dotted path, None if there is none."""
    for step in path.split("."):
        document = document.get(step) if isinstance(document, Mapping) else None
    return document
