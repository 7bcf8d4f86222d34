"""The items that a job has yet to do, or some of them that are spread over it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
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
    path: Path, effects: StoreEffects, chance: Callable[[], float], *, sample: int | None, at_once: int
) -> AsyncGenerator[list[Item], None]:
    """Give the items that have no outcome, in sets.

    A sample takes one item by chance out of each of so many parts of the job: an input often has a rhythm of its own.

    Args:
        path: of the journal.
        effects: threads.
        chance: gives numbers from 0 to 1.
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
    places = (_place_in_part(part, total, wanted, chance) for part in range(wanted))
    chosen: list[Item] = []
    last, place, following = 0, 0, next(places, None)
    while some := await effects.off_loop(partial(_read, path, last)):
        last = some[-1].number
        for item in some:
            if place == following:
                chosen.append(item)
                following = next(places, None)
            place += 1
        while len(chosen) >= at_once:
            yield chosen[:at_once]
            del chosen[:at_once]
    if chosen:
        yield chosen


def _place_in_part(part: int, total: int, parts: int, chance: Callable[[], float]) -> int:
    begin, end = part * total // parts, (part + 1) * total // parts
    return begin + min(int(chance() * (end - begin)), end - begin - 1)


def _read(path: Path, after: int) -> list[Item]:
    with closing(open_to_read(path)) as connection:
        return to_do_in(connection, after, _AT_ONCE)
