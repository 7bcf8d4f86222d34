"""A journal as a night with 100,000 items leaves it, written at once.

python -m tests.bulk.long_nights FOLDER      # writes the journal and its page
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from fusebill_async.bulk import write_page
from fusebill_async.bulk.journal_file import JournalFile
from fusebill_async.stores.effects import StoreEffects

ITEMS = 100_000
REFUSED = 112
UNKNOWN = 14
BEGAN = 1_767_304_800.0  # 2026-01-01 22:00 UTC
_PER_MINUTE = 1000
_OPTIONS = '{"concurrency":32,"window":"22:00-06:00","tz":"UTC"}'
_MESSAGES = (
    "400: This activity could not be processed since the service status is Cancelled (customer {} is Cancelled)",
    '400: <script>document.title="broken"</script> & "{}" is no account',
    "404: customer {} does not exist",
)
_HOUR, _MINUTE = 3600.0, 60.0


def write_night(path: Path, items: int = ITEMS) -> Path:
    """Write the journal: two runs, the first killed, with a pause, a service out of reach, and some 429s."""
    chance = random.Random(1)
    file = JournalFile(path, StoreEffects(), create=True)
    connection = file.connect()
    connection.execute("BEGIN")
    connection.execute(
        "INSERT INTO job (operation, options, service, began, input_rows, duplicates, fingerprint) VALUES "
        "('customers.hold', '{\"arguments\":{}}', 'https://secure.fusebill.com/v1', ?, ?, 3, ?)",
        (BEGAN - 60, items + 3, "9f86d081884c7d659a2feaa0c55ad015"),
    )
    numbers = range(1, items + 1)
    first_id = 12_000_000
    connection.executemany("INSERT INTO items VALUES (?, ?, NULL, NULL)", [(each, first_id + each) for each in numbers])
    unknown = set(chance.sample(numbers, UNKNOWN))
    refused = set(chance.sample([each for each in numbers if each not in unknown], REFUSED))
    at, run, outcomes, second_began = BEGAN, 1, [], 0.0
    for each in numbers:
        at += _MINUTE / _PER_MINUTE * chance.uniform(0.94, 1.08)
        if BEGAN + 20 * _MINUTE <= at < BEGAN + 28 * _MINUTE:
            at = BEGAN + 28 * _MINUTE
        if BEGAN + 60 * _MINUTE <= at < BEGAN + 66 * _MINUTE:
            at, run, second_began = BEGAN + 66 * _MINUTE, 2, BEGAN + 65.9 * _MINUTE
        if BEGAN + 85 * _MINUTE <= at < BEGAN + 92 * _MINUTE:
            at = BEGAN + 92 * _MINUTE
        if each in unknown:
            continue
        message = chance.choice(_MESSAGES).format(first_id + each) if each in refused else None
        tally = "applied" if message is None else "rejected"
        seconds = round(chance.lognormvariate(-1.9, 0.5), 4)
        modified = None if message else "2026-01-01T22:10:11.1234567Z"
        outcomes.append(
            (
                each, tally, tally, None if message else "ours", 200 if message is None else 400, 1, at, seconds, run,
                message, None, modified,
            )
        )  # fmt: skip
    connection.executemany("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", outcomes)
    connection.executemany(
        "INSERT INTO intents VALUES (?, ?, 2, '{}', 'every read failed: 503: the service is away')",
        [(each, f"i{each}") for each in sorted(unknown)],
    )
    runs = [
        (1, BEGAN, None, None, "batch-1", 4711, "0.1.0, Python 3.12.1", _OPTIONS, float(_PER_MINUTE)),
        (2, second_began, at, "", "batch-1", 4812, "0.1.0, Python 3.12.1", _OPTIONS, float(_PER_MINUTE)),
    ]
    connection.executemany(
        "INSERT INTO runs (number, began, ended, ended_as, machine, pid, version, options, per_minute) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        runs,
    )
    events = [
        (BEGAN + 20 * _MINUTE, 1, "paused", None, None, "paused by alice on batch-1"),
        (BEGAN + 28 * _MINUTE, 1, "went_on", None, None, None),
        (BEGAN + 41 * _MINUTE, 1, "refused", 6, None, None),
        (BEGAN + 85 * _MINUTE, 2, "away", None, None, "the service is out of reach: connection refused"),
        (BEGAN + 92 * _MINUTE, 2, "went_on", None, None, None),
        (BEGAN + 101 * _MINUTE, 2, "refused", 2, None, None),
    ]
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", events)
    connection.execute("COMMIT")
    connection.execute("DELETE FROM owner")
    connection.close()
    return path


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    journal = write_night(folder / "night.sqlite")
    write_page(journal, folder / "night.html")


if __name__ == "__main__":
    main()
