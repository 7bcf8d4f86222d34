"""What the models cost: bytes to model, one change back to bytes, memory held.

The contenders alternate in one run: `python benchmarks/models.py`.
"""

from __future__ import annotations

import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import cattrs
import msgspec

from fusebill_async.converting import decode_customer, encode, wire_fields
from fusebill_async.models import Customer, CustomerAcquisition, CustomerReference, wire_keys

SAMPLE = Path(__file__).parent.parent / "tests" / "samples" / "customer_hold_200.json"
BODY = json.dumps(json.loads(SAMPLE.read_bytes()), separators=(",", ":")).encode()
ROUNDS = 15
CALLS = 2_000
HELD = 10_000


def plain_class(model: type[attrs.AttrsInstance], nested: dict[str, type] | None = None) -> type:
    """Make the class that a straightforward SDK would have: keys as attributes, every one optional."""
    fields = {key: attrs.field(default=None, type=(nested or {}).get(key, Any)) for key in wire_keys(model).values()}
    return attrs.make_class(f"Plain{model.__name__}", fields, kw_only=True, slots=True)


PLAIN = plain_class(
    Customer,
    {
        "customerReference": plain_class(CustomerReference),
        "customerAcquisition": plain_class(CustomerAcquisition),
    },
)
DEFAULT = cattrs.Converter()


def bare_json() -> None:
    found = json.loads(BODY)
    _ = found["id"], found["status"], found["companyName"]


def cattrs_default() -> None:
    found = DEFAULT.structure(json.loads(BODY), PLAIN)
    _ = found.id, found.status, found.companyName


def ours() -> None:
    found = decode_customer(BODY)
    _ = found.id, found.status, found.company_name


def ours_unprepared() -> None:
    found = decode_customer(BODY)
    _ = found.company_name, found.monthly_recurring_revenue, found.modified_timestamp


def bare_json_update() -> None:
    found = json.loads(BODY)
    found["companyName"] = "Grok Ltd"
    json.dumps(found).encode()


def cattrs_update() -> None:
    found = DEFAULT.structure(json.loads(BODY), PLAIN)
    found.companyName = "Grok Ltd"
    json.dumps(DEFAULT.unstructure(found)).encode()


def ours_update() -> None:
    found: dict[str, Any] = dict(wire_fields(BODY))
    found["companyName"] = "Grok Ltd"
    encode(found)


READING = {
    "json.loads": bare_json,
    "cattrs default": cattrs_default,
    "ours: id, status, company_name": ours,
    "ours: three fields, none at hand": ours_unprepared,
}
UPDATING = {"json.loads, dumps": bare_json_update, "cattrs default": cattrs_update, "ours": ours_update}


def times(contenders: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Let contenders alternate; give the microseconds of CPU of a call, one figure for each round."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            begin = time.process_time_ns()
            for _ in range(CALLS):
                run()
            found[name].append((time.process_time_ns() - begin) / CALLS / 1000)
    return found


def compare(title: str, contenders: dict[str, Callable[[], None]]) -> None:
    """Print medians in microseconds, the spread of the middle half, and the ratio to the first contender."""
    measured = times(contenders)
    print(f"\n{title} ({len(BODY)} bytes; microseconds, median of {ROUNDS} rounds)")
    first = statistics.median(next(iter(measured.values())))
    for name, found in measured.items():
        low, median, high = statistics.quantiles(found, n=4)
        print(f"  {name:34} {median:7.2f}  [{low:.2f}, {high:.2f}]  ratio {median / first:.2f}")


def held(make: Callable[[bytes], Any]) -> float:
    """Give the bytes that one held object takes, its own copy of the text counted where it keeps it."""
    tracemalloc.start()
    objects = [make(bytes(bytearray(BODY))) for _ in range(HELD)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(objects)


def customer_read(body: bytes) -> Customer:
    customer = decode_customer(body)
    _ = customer.id, customer.status, customer.company_name
    return customer


def main() -> None:
    compare("Bytes to model, three fields read", READING)
    compare("One field changed, bytes to bytes", UPDATING)
    print(f"\nMemory of one held customer (bytes, of {HELD})")
    print(f"  {'json.loads':34} {held(json.loads):7.0f}")
    print(f"  {'cattrs default':34} {held(lambda body: DEFAULT.structure(json.loads(body), PLAIN)):7.0f}")
    print(f"  {'ours, with the wire':34} {held(customer_read):7.0f}")
    print(f"\nmsgspec {msgspec.__version__}, cattrs and attrs {attrs.__version__}")


if __name__ == "__main__":
    main()
