"""Every benchmark of what the client costs, in one command, against what it promises.

    python -m benchmarks.all                         # about ten minutes
    python -m benchmarks.all --quick                 # about two, and coarser
    python -m benchmarks.all --svg overhead.svg --json all.json

Prints one row for each promise: what was measured, the bar, and what we dream of.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import attrs

from benchmarks import bulk_memory, import_time, models, overhead
from benchmarks.charts import table
from benchmarks.contenders import ABOUT
from benchmarks.overhead import Measured

CONCURRENCY = 50
HOLD, JSON = "ours: hold()", "aiohttp json"


@attrs.frozen
class Row:
    """One promise. `more` says that the measured value shall be above the bar, not below it."""

    name: str
    measured: float
    bar: float
    dream: float
    unit: str = ""
    spread: tuple[float, float] | None = None
    more: bool = False

    @property
    def verdict(self) -> str:
        """Whether it holds."""
        sign = -1 if self.more else 1
        if sign * self.measured <= sign * self.dream:
            return "dream"
        return "holds" if sign * self.measured <= sign * self.bar else "MISSED"

    def cells(self) -> list[str]:
        """As the table shows it."""
        spread = "" if self.spread is None else f"{self.spread[0]:.2f} - {self.spread[1]:.2f}"
        bound = ">=" if self.more else "<="
        unit = f" {self.unit}" if self.unit else ""
        figures = [f"{self.measured:.2f}{unit}", spread, f"{bound} {self.bar:g}{unit}", f"{self.dream:g}{unit}"]
        return [self.name, *figures, self.verdict]


def against(results: dict[str, Measured], one: str, other: str) -> tuple[float, tuple[float, float]]:
    """The CPU of one contender against another's, and the middle half, both over the reference beside them."""
    low, middle, high = results[one].ratio("cpu")
    _, base, _ = results[other].ratio("cpu")
    return middle / base, (low / base, high / base)


def contest_rows(results: dict[str, Measured]) -> list[Row]:
    """The rows that come from the contest at concurrency 50."""
    low, middle, high = results[HOLD].ratio("cpu")
    over_json, json_spread = against(results, HOLD, JSON)
    rows = [
        Row("hold(), CPU against bare aiohttp post+read", middle, 1.10, 1.00, spread=(low, high)),
        Row("hold(), CPU against aiohttp + resp.json()", over_json, 0.90, 0.80, spread=json_spread),
    ]
    for name, bar, dream in (("httpx", 10, 15), ("requests, one by one", 6, 8), ("requests session", 3.5, 4)):
        times, spread = against(results, name, HOLD)
        rows.append(Row(f"CPU of {name} against hold()", times, bar, dream, spread=spread, more=True))
    low, middle, high = ((cut - 1) * 100 for cut in results[HOLD].ratio("p99"))
    rows.append(Row("p99 latency added over bare aiohttp", middle, 15, 5, "%", (low, high)))
    return rows


def model_rows() -> list[Row]:
    """The rows of the models, as `benchmarks.models` measures them."""
    taken = models.times({"read": models.ours_unprepared, "write": models.ours_update})
    rows = []
    for name, key in (
        ("customer bytes to model, three fields read", "read"),
        ("model to PUT bytes after one change", "write"),
    ):
        low, middle, high = statistics.quantiles(taken[key], n=4)
        rows.append(Row(name, middle, 8, 4, "us", (low, high)))
    kilobytes = models.held(models.customer_read) / 1000
    return [*rows, Row("memory of a held customer", kilobytes, 3.5, 2, "kB")]


def bulk_rows(outcome: bulk_memory.Outcome) -> list[Row]:
    """The rows of many holds in a row."""
    low, middle, high = outcome.ratio
    growth = outcome.seen[HOLD].growth
    return [
        Row(f"{outcome.calls:,} holds, CPU against bare aiohttp", middle, 1.15, 1.05, spread=(low, high)),
        Row(f"{outcome.calls:,} holds, memory growth", growth, 10, 5, "MB"),
    ]


def import_rows(found: import_time.ImportTime) -> list[Row]:
    """The rows of the import: alone, and with what it may have put off."""
    return [
        Row(name, cost.middle, 25, 10, "ms", (cost.low, cost.high))
        for name, cost in (
            ("import over aiohttp + attrs + cattrs", found.imported),
            ("import, a client and its first hold over theirs", found.total),
        )
    ]


def render(rows: list[Row]) -> str:
    """The whole table."""
    return table(["", "measured", "middle half", "bar", "dream", ""], [row.cells() for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--svg", type=Path, help="write the chart here")
    parser.add_argument("--json", type=Path, help="write the table here")
    given = parser.parse_args()
    quick, uvloop = given.quick, given.uvloop
    place = overhead.machine(uvloop=uvloop)
    print(place, flush=True)
    rows: list[Row] = []
    for concurrency in [CONCURRENCY] if quick else overhead.CONCURRENCIES:
        found = overhead.compete(
            ABOUT, concurrency, rounds=6 if quick else 8, restarts=2 if quick else 3, uvloop=uvloop
        )
        print("\n" + overhead.render(concurrency, found), flush=True)
        if concurrency == CONCURRENCY:
            rows += contest_rows(found)
            if given.svg:
                given.svg.write_text(overhead.chart(found, concurrency, place), encoding="utf-8")
    print()
    rows += model_rows()
    outcome = bulk_memory.measure(20_000 if quick else 100_000, uvloop=uvloop)
    print(bulk_memory.render(outcome), flush=True)
    rows += bulk_rows(outcome)
    imported = import_time.measure(7 if quick else 21)
    print("\n" + import_time.render(imported), flush=True)
    rows += import_rows(imported)
    print("\nWhat must hold\n" + render(rows))
    if given.json:
        data = {"machine": place, "rows": [{**attrs.asdict(row), "verdict": row.verdict} for row in rows]}
        given.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
