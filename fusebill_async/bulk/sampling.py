"""The items that a job has yet to do, or some of them that are spread evenly over it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from fusebill_async.bulk.items import Item
from fusebill_async.bulk.journal import to_do_in
from fusebill_async.bulk.journal_file import open_to_read
from fusebill_async.bulk.report import read_report
from fusebill_async.errors import ConfigurationError, shown
from fusebill_async.stores.effects import StoreEffects

_AT_ONCE = 2_000
"""Items that are read from the journal at once."""


async def sampled(
    path: Path, effects: StoreEffects, *, sample: int | None, at_once: int
) -> AsyncGenerator[list[Item], None]:
    """Give the items that have no outcome, in sets.

    Args:
        path: of the journal.
        effects: threads.
        sample: how many of them, from 1; None is all.
        at_once: how many in a set, at most.

    Raises:
        ConfigurationError: there is no journal, or it cannot be read.
    """
    given: Any = sample
    if sample is not None and (type(given) is not int or sample < 1):
        raise ConfigurationError(f"sample= must be a whole number from 1, or None, not {shown(given)}")
    total = max(1, (await effects.off_loop(partial(read_report, path))).unprocessed)
    wanted = total if sample is None else min(sample, total)
    chosen: list[Item] = []
    last = place = 0
    while some := await effects.off_loop(partial(_read, path, last)):
        last = some[-1].number
        for item in some:
            # Exactly so many of them cross a whole number here.
            if (place + 1) * wanted // total > place * wanted // total:
                chosen.append(item)
            place += 1
        while len(chosen) >= at_once:
            yield chosen[:at_once]
            del chosen[:at_once]
    if chosen:
        yield chosen


def _read(path: Path, after: int) -> list[Item]:
    with closing(open_to_read(path)) as connection:
        return to_do_in(connection, after, _AT_ONCE)
