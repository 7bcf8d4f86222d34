"""The failures of a job, grouped by what the service said."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import attrs

from fusebill_async.bulk.journal_file import open_to_read
from fusebill_async.bulk.tallies import Tally

_NUMBER = re.compile(r"\d+")
_STATUS = re.compile(r"\d{3}: ")
"""What a message of the service begins with. It is no id, and stays."""
_IDS = 3
"""Customers that a group names."""
FAILED = (Tally.UNKNOWN, Tally.REJECTED, Tally.NOT_APPLIED, Tally.SKIPPED)
"""In the order in which they want to be looked at."""
_FAILED = (
    "SELECT 'unknown', coalesce(reason, ''), customer_id, number FROM intents JOIN items ON number = intents.item "
    "UNION ALL SELECT tally, coalesce(message, ''), customer_id, number FROM outcomes "
    "JOIN items ON number = outcomes.item WHERE tally IN ('rejected', 'not_applied', 'skipped') "
    "AND NOT EXISTS (SELECT 1 FROM intents WHERE intents.item = number) ORDER BY number"
)


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


def read_failures(path: Path) -> list[FailureGroup]:
    """The failures of a job, grouped.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        return grouped(failures_in(connection))


def failures_in(connection: sqlite3.Connection) -> Iterator[tuple[Tally, str, int | None]]:
    """Each item that failed, in the order of the input: its tally, what was said, and its customer."""
    for tally, message, customer_id, _ in connection.execute(_FAILED):
        yield Tally(tally), message, customer_id


def grouped(failures: Iterable[tuple[Tally, str, int | None]]) -> list[FailureGroup]:
    """Group the items that failed, the largest groups of each tally first.

    Args:
        failures: see `failures_in`.
    """
    groups: dict[tuple[Tally, str], FailureGroup] = {}
    for tally, said, customer_id in failures:
        parts = _parts(said)
        message = "N".join(parts)
        group = groups.get((tally, message))
        if group is None:
            group = groups[tally, message] = FailureGroup(tally, message, max(parts, key=len).strip())
        group.count += 1
        if customer_id is not None and len(group.customer_ids) < _IDS:
            group.customer_ids.append(customer_id)
    return sorted(groups.values(), key=lambda group: (FAILED.index(group.tally), -group.count))
