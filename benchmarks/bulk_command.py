"""What `bulk plan`, `status` and `report` take with many items: seconds, CPU and memory, each in a process of its own.

    python -m benchmarks.bulk_command
    python -m benchmarks.bulk_command --items 1000000

No service is asked: one that is not there answers at once. The outcomes are written into the journal, a tenth of them
rejected.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.contenders import KEY
from benchmarks.tables import table

_ENDED = """
INSERT INTO outcomes
SELECT number, CASE WHEN number % 10 THEN 'applied' ELSE 'rejected' END,
    CASE WHEN number % 10 THEN 'applied' ELSE 'rejected' END, NULL, 200, 1, 1.7e9, 0.1, 1,
    CASE WHEN number % 10 THEN NULL ELSE '404: Customer with id ' || customer_id || ' not found.' END, NULL, NULL
FROM items
"""


def measure(folder: Path, *words: str) -> tuple[str, str, str, str]:
    """Run a command; its words, seconds, seconds of CPU, and MB resident at most."""
    environment = {**os.environ, "FUSEBILL_API_KEY": KEY, "FUSEBILL_BASE_URL": "http://127.0.0.1:9/v1"}
    command = [sys.executable, "-m", "fusebill_async", "bulk", *words]
    began = time.perf_counter()
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out)  # noqa: S603 (this program)
        _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    # So that nobody waits for it again.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    cpu = used.ru_utime + used.ru_stime
    return " ".join(words), f"{took:.2f}", f"{cpu:.2f}", f"{used.ru_maxrss / 1024:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    ids = range(1, parser.parse_args().items + 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hold.csv").write_text("id\n" + "".join(f"{each}\n" for each in ids))
        rows = (f"{each},Company {each},A-{each}\n" for each in ids)
        (folder / "update.csv").write_text("id,company_name,customer_reference.reference1\n" + "".join(rows))
        found = [
            measure(folder, "plan", "hold", "hold.csv", "-j", "hold.sqlite"),
            measure(folder, "plan", "update", "update.csv", "-j", "update.sqlite"),
        ]
        with closing(sqlite3.connect(folder / "hold.sqlite")) as journal, journal:
            journal.execute(_ENDED)
        found += [
            measure(folder, *words, "-j", "hold.sqlite")
            for words in (
                ("status",),
                ("report",),
                ("report", "--json"),
                ("report", "-o", "csv"),
                ("report", "-o", "jsonl"),
            )
        ]
    print(table(("command", "seconds", "CPU", "MB"), found))


if __name__ == "__main__":
    main()
