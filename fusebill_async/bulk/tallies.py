"""The six tallies of a job, and which of them an item belongs to."""

from __future__ import annotations

import sqlite3
from collections import Counter
from enum import StrEnum

from fusebill_async.outcome import Outcome
from fusebill_async.settling.keys import Ended

_OF_THE_KEY = frozenset({401, 403})
"""Statuses that say something of the API key, and nothing of the item."""


class Tally(StrEnum):
    """Where an item of a job is counted. The six together are the input."""

    APPLIED = "applied"
    """It happened: the service said so, or a read afterwards shows it."""
    REJECTED = "rejected"
    """The service refused it, or a guard of this client did before anything was sent. Nothing changed."""
    NOT_APPLIED = "not_applied"
    """It was sent, no usable answer came, and reads have shown that it did not happen."""
    UNKNOWN = "unknown"
    """It was sent, and no read has told what became of it."""
    SKIPPED = "skipped"
    """It was set aside: a bad row, or what the job must not touch."""
    UNPROCESSED = "unprocessed"
    """Nothing was sent for it, or what was sent had no effect and is to be tried again."""


def tally_of(ended: Ended) -> Tally:
    """Where an item is counted that ended so."""
    match ended.outcome:
        case Outcome.APPLIED:
            return Tally.APPLIED
        case Outcome.REJECTED if ended.status not in _OF_THE_KEY:
            return Tally.REJECTED
        case Outcome.NOT_APPLIED:
            return Tally.NOT_APPLIED
        case Outcome.UNKNOWN:
            return Tally.UNKNOWN
        case _:
            return Tally.UNPROCESSED


def tallies_in(connection: sqlite3.Connection) -> dict[str, int]:
    """The six tallies of the job whose journal a connection leads to, by name."""
    counts = Counter[str](dict(connection.execute("SELECT tally, count(*) FROM outcomes GROUP BY tally").fetchall()))
    # An item that is tried again is open, and has what it came to before among the outcomes.
    counts[Tally.UNKNOWN] = connection.execute("SELECT count(*) FROM intents").fetchone()[0]
    counts[Tally.UNPROCESSED] = 0
    items: int = connection.execute("SELECT count(*) FROM items").fetchone()[0]
    counts[Tally.UNPROCESSED] = items - sum(counts.values())
    return {tally.value: counts[tally] for tally in Tally}


def handed_out_in(connection: sqlite3.Connection) -> int:
    """How many of the unknown items were handed to workers: the keys of these tell what became of them."""
    count: int = connection.execute("SELECT count(json_extract(record, '$.key')) FROM intents").fetchone()[0]
    return count
