"""What really happened in a world: the versions of each customer, and what the service saw of each call."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from decimal import Decimal
from functools import cached_property
from typing import Any

import attrs

BEGINNING = -1
SOMEBODY_ELSE = -2
"""Who made a version, where it was no call."""


@attrs.define(eq=False, slots=False)
class Version:
    """A customer from one change to the next. `by` is the number of a call, or one of the names above."""

    at: float
    body: bytes
    by: int
    operation: str = ""

    @cached_property
    def document(self) -> dict[str, Any]:
        """The customer as JSON."""
        document: dict[str, Any] = json.loads(self.body, parse_float=Decimal)
        return document

    @cached_property
    def leaves(self) -> dict[str, Any]:
        """Every value under its dotted path."""
        return dict(_leaves(self.document, ""))

    @property
    def stamp(self) -> str | None:
        """`modifiedTimestamp` as text."""
        return self.document.get("modifiedTimestamp")


def _leaves(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    else:
        yield path, value


@attrs.define(eq=False)
class Effect:
    """An effect. `copy` if it was that of a copy which a proxy made; `before` and `after` are places in the history."""

    at: float
    customer_id: int
    before: int
    after: int
    copy: bool = False


@attrs.define(eq=False)
class Arrival:
    """A request of a call that reached the service. `fault` names what befell it."""

    at: float
    operation: str
    customer_id: int | None
    connection: int
    body: bytes
    client: str = ""
    """Who sent it."""
    fault: str = ""
    answered: float | None = None
    status: int | None = None
    effects: list[Effect] = attrs.field(factory=list)
    shown: int | None = None
    """The version that a read which could be used showed; None if it could not be used."""
    missing: bool = False
    """The read was told, in the service's words, that there is no such customer."""


@attrs.define(eq=False)
class Seen:
    """What the service saw of a call: its writes, and the reads that it made for them."""

    writes: list[Arrival] = attrs.field(factory=list)
    reads: list[Arrival] = attrs.field(factory=list)

    @property
    def effects(self) -> list[Effect]:
        """Every effect, those of copies included."""
        return [effect for arrival in self.writes for effect in arrival.effects]


class History:
    """The true history of a world."""

    def __init__(self) -> None:
        self.versions: dict[int, list[Version]] = defaultdict(list)
        self.seen: dict[int, Seen] = defaultdict(Seen)
        self.refused: list[tuple[float, str]] = []
        """Requests over the quota: when each was answered with 429, and the client's name."""
        self.arrived: list[tuple[float, str, int, str]] = []
        """Every request: when, the client's name, the connection, the operation."""
        self.repeated: dict[str, list[float]] = defaultdict(list)
        """When a client decided to repeat a request that failed, by the client's name."""
        self.begun: dict[str, list[float]] = defaultdict(list)
        """When its calls began."""
        self.handed_out: dict[int, float] = {}
        """When the write of a call was last handed a connection."""
        self.cut: list[float] = []
        """When the network met a fault."""
        self.stalled: set[int] = set()
        """Connections on which nothing was read for a while: what arrives there has been sent long before."""
        self.told: list[tuple[float, str, int | None, str | None]] = []
        """What callers were shown: when, the client's name, the customer, its `modifiedTimestamp`."""

    def add(self, at: float, customer_id: int, body: bytes, by: int, operation: str = "") -> int:
        """Note a version; return its place."""
        versions = self.versions[customer_id]
        versions.append(Version(at, body, by, operation))
        return len(versions) - 1

    def place_at(self, customer_id: int, at: float) -> int | None:
        """The place of the version that stood at a time, None if there was none."""
        place = bisect_right(self.versions[customer_id], at, key=lambda version: version.at) - 1
        return place if place >= 0 else None

    def place_of(self, customer_id: int, stamp: str | None) -> int | None:
        """The place of the last version with this `modifiedTimestamp`."""
        versions = self.versions[customer_id]
        return next((place for place in range(len(versions) - 1, -1, -1) if versions[place].stamp == stamp), None)
