"""Whether a customer stands as an item of a job was to leave it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from fusebill_async.operations import FieldIs, FieldsAre, FieldsAreNull, FieldsAsNamed, Goal, StatusIs, names_of
from fusebill_async.updating.rules import python_name
from fusebill_async.wire.checks import is_object
from fusebill_async.wire.comparing import Likeness, is_empty, likeness

ABSENT: Any = object()
"""Stands for a field that a customer does not show."""


@attrs.frozen
class Difference:
    """One field that is not as it was to be.

    Attributes:
        field: its name, such as "customer_reference.reference1".
        expected, found: its two values; `found` is `ABSENT` where the customer does not show the field.
    """

    field: str
    expected: Any
    found: Any


def differences(
    goal: Goal | None, sent: Mapping[str, Any], fields: Mapping[str, Any], *, exactly: bool = False
) -> list[Difference]:
    """What of a customer misses a goal.

    Args:
        goal: of the operation.
        sent: the wire keys and values that were sent.
        fields: the customer's wire keys and values.
        exactly: a value in another form, such as a number as a text, is another value.
    """
    if isinstance(goal, StatusIs):
        found = fields.get("status", ABSENT)
        return [] if found in goal.statuses else [Difference("status", names_of(goal.statuses), found)]
    least = Likeness.EXACT if exactly else Likeness.ALIKE
    return list(_compare(_wanted(goal, sent), fields, least, ""))


def shows_all(different: list[Difference]) -> bool:
    """Whether the customer shows every field that the goal is about."""
    return all(each.found is not ABSENT for each in different)


def without_nulls(different: list[Difference]) -> list[Difference]:
    """The differences, where a field that is not shown counts as null: so it is in a read of the customer itself."""
    return [each for each in different if each.found is not ABSENT or not is_empty(each.expected)]


def _wanted(goal: Goal | None, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    match goal:
        case FieldsAreNull(keys):
            return dict.fromkeys(keys)
        case FieldIs(key, value):
            return {key: value}
        case FieldsAre(keys):
            return {shown: sent[key] for shown, key in keys if key in sent}
        case FieldsAsNamed():
            return sent
        case _:
            return {}


def _compare(
    wanted: Mapping[str, Any], fields: Mapping[str, Any], least: Likeness, within: str
) -> Iterator[Difference]:
    for key, value in wanted.items():
        found, name = fields.get(key, ABSENT), within + python_name(key)
        if is_object(value) and (found is None or is_object(found)):
            # An object that is null shows all of its fields as null.
            inner: Mapping[str, Any] = dict.fromkeys(value) if found is None else found
            yield from _compare(value, inner, least, f"{name}.")
        elif found is ABSENT or likeness(value, found) < least:
            yield Difference(name, value, found)
