"""The failures of a job, grouped by what the service said."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from fusebill_async.bulk.report import BulkItem
from fusebill_async.bulk.tallies import Tally

_NUMBER = re.compile(r"\d+")
_STATUS = re.compile(r"\d{3}: ")
"""What a message of the service begins with. It is no id, and stays."""
_IDS = 3
"""Customers that a group names."""
FAILED = (Tally.UNKNOWN, Tally.REJECTED, Tally.NOT_APPLIED, Tally.SKIPPED)
"""In the order in which they want to be looked at."""


@attrs.define
class FailureGroup:
    """Items that ended alike.

    Attributes:
        tally: where they are counted.
        message: what was said, with N in place of each number.
        count: how many they are.
        customer_ids: the first three.
        part: the longest part of the message without a number, which chooses them for `retry`.
    """

    tally: Tally
    message: str
    part: str
    count: int = 0
    customer_ids: list[int] = attrs.field(factory=list[int])


def blanked(message: str) -> str:
    """A message with N in place of each number, so that those which differ by an id alone are one."""
    return "N".join(_parts(message))


def _parts(message: str) -> list[str]:
    """What stands between the numbers of a message."""
    status = _STATUS.match(message)
    begin = "" if status is None else status[0]
    first, *others = _NUMBER.split(message.removeprefix(begin))
    return [begin + first, *others]


def grouped(items: Iterable[BulkItem]) -> list[FailureGroup]:
    """Group the items that failed, the largest groups of each tally first."""
    groups: dict[tuple[Tally, str], FailureGroup] = {}
    for item in items:
        if item.tally not in FAILED:
            continue
        parts = _parts(item.message)
        message = "N".join(parts)
        group = groups.get((item.tally, message))
        if group is None:
            group = groups[item.tally, message] = FailureGroup(item.tally, message, max(parts, key=len).strip())
        group.count += 1
        if item.customer_id is not None and len(group.customer_ids) < _IDS:
            group.customer_ids.append(item.customer_id)
    return sorted(groups.values(), key=lambda group: (FAILED.index(group.tally), -group.count))
