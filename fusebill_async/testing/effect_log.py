"""What the service did: the effects and requests of each operation and customer. The oracle of the tests."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

from fusebill_async.operations import BY_TITLE, HUBSPOT_LATCH, HUBSPOT_UNLATCH, OPERATIONS, REPLACE, UPDATE

# `update` and `replace` send the same request, so the service cannot tell them apart.
_SAME_REQUEST = {REPLACE.title: UPDATE.title}


def _titles_by_name() -> dict[str, str]:
    names = {operation.title.lower(): operation.title for operation in OPERATIONS}
    for operation in OPERATIONS:
        if operation.resource == "customers":
            names[operation.name] = operation.title
    # Four integrations have a latch; the short name means the one of the project's first four operations.
    names["unlatch"], names["latch"] = HUBSPOT_UNLATCH.title, HUBSPOT_LATCH.title
    return {name: _SAME_REQUEST.get(title, title) for name, title in names.items()}


_TITLES = _titles_by_name()


def title_of(name: str) -> str:
    """Return the title of an operation: "hold" is "customers.hold", "unlatch" is "hubspot.unlatch".

    Raises:
        ValueError: no operation has this name.
    """
    title = _TITLES.get(name.lower())
    if title is None:
        raise ValueError(f"no operation is named {name!r}; there are {', '.join(sorted(BY_TITLE))}")
    return title


class Effect(NamedTuple):
    """An effect that happened. A tuple, since a campaign makes a million of them.

    Attributes:
        operation: the title, such as "customers.activate".
        customer_id: of the customer.
        at: seconds since 1970 by the service's clock.
        connection: the number of the connection that the request came on.
    """

    operation: str
    customer_id: int
    at: float
    connection: int


class EffectLog:
    """Counts of effects and of requests; `log_size` bounds the log (None: all are kept), never the counts."""

    def __init__(self, log_size: int | None = None) -> None:
        self.log: deque[Effect] = deque(maxlen=log_size)
        self._effects: Counter[tuple[str, int | None]] = Counter()
        self._received: Counter[tuple[str, int | None]] = Counter()

    def record(self, effect: Effect) -> None:
        """Note an effect."""
        self.log.append(effect)
        self._effects[effect.operation, effect.customer_id] += 1
        self._effects[effect.operation, None] += 1

    def receive(self, operation: str, customer_id: int | None) -> None:
        """Note a request that was read to its end."""
        self._received[operation, None] += 1
        if customer_id is not None:
            self._received[operation, customer_id] += 1

    def effects(self, operation: str, customer_id: int | None = None) -> int:
        """Return how often the effect of an operation happened, for one customer or for all."""
        return self._effects[title_of(operation), customer_id]

    def counted(self) -> Mapping[tuple[str, int | None], int]:
        """How often each effect happened, by the title of its operation and the customer (None: all together)."""
        return self._effects

    def received(self, operation: str, customer_id: int | None = None) -> int:
        """Return how many requests of an operation were read to their end, for one customer or for all."""
        return self._received[title_of(operation), customer_id]

    def clear(self) -> None:
        """Forget everything."""
        self.log.clear()
        self._effects.clear()
        self._received.clear()
