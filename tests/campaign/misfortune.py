"""What befalls a request or a connection: drawn when it comes, from the seed of the world."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import attrs

from fusebill_async.operations import BY_TITLE, StatusIs
from fusebill_async.testing import Fault, Request
from fusebill_async.testing.faults import LAGGING, FaultScript, Level
from tests.campaign.proxy import proxy_fault
from tests.campaign.surroundings import Surroundings

NOBODY = 999_999_999
"""A customer that no call is about, for answers to questions that nobody asked."""

Make = Callable[[Mapping[str, Any]], Fault]


def _cut(name: str) -> Make:
    def make(effect: Mapping[str, Any]) -> Fault:
        if effect["effect"] == "late":
            return Fault.late_effect(delay=effect["late_by"], then=name)  # type: ignore[arg-type]
        when = "before" if effect["effect"] == "none" else "after"
        made: Fault = getattr(Fault, f"{name}_{when}_effect")()
        return made

    return make


def _answer(make: Callable[..., Fault], *arguments: Any, **options: Any) -> Make:
    return lambda effect: make(*arguments, **options, **effect)


def _without_effect(make: Callable[..., Fault], *arguments: Any, **options: Any) -> Make:
    return lambda _: make(*arguments, **options)


_ENDS = [(end, part) for end in ("reset", "close") for part in ("headers", "body")]

_UNUSABLE: tuple[tuple[float, Make], ...] = (
    (14, _cut("reset")),
    (12, _cut("close")),
    (4, _cut("hang")),
    *((1.5, _answer(Fault.status, code)) for code in (408, 500, 502, 503, 504)),
    (1, _answer(Fault.status, 503, retry_after=2)),
    (2, _answer(Fault.redirect)),
    (1, _answer(Fault.redirect, to="https://elsewhere.example/v1/")),
    (2, _answer(Fault.html)),
    (2, _answer(Fault.empty)),
    (2, _answer(Fault.no_content)),
    (2, _answer(Fault.null_body)),
    (2, _answer(Fault.bad_json)),
    (2, _answer(Fault.wrong_types)),
    (4, _answer(Fault.other_id)),
    (2, _answer(Fault.duplicate_content_length)),
    (2, _answer(Fault.cut_body)),
    (2, _answer(Fault.cut_body, then="reset")),
    (2, _answer(Fault.broken_gzip)),
    *((1.5, _answer(getattr(Fault, f"{end}_in_{part}"), of="answer")) for end, part in _ENDS),
    *((1.5, _without_effect(getattr(Fault, f"{end}_in_{part}"))) for end, part in _ENDS),
    # Each costs much real time, so there are only some of them.
    (0.03, _answer(Fault.gzip_bomb, size=9 * 2**20)),
    (0.03, _answer(Fault.deep_json, depth=20_000)),
    (0.1, _answer(Fault.header_flood, count=200)),
    (0.03, _answer(Fault.oversized_body)),
)  # fmt: skip
"""The answer is of no use."""

_USABLE: tuple[tuple[float, Make], ...] = (
    (1, _answer(Fault.gzip_answer)),
    (3, _answer(Fault.delay, 0.3)),
    (2, _answer(Fault.delay, 20.0)),
    (2, _answer(Fault.slow_body, seconds=0.05)),
    (2, _answer(Fault.close_after_answer)),
    (2, _answer(Fault.close_after_answer, then="reset")),
    (2, _answer(Fault.unsolicited_answer, other=NOBODY)),
    (2, _answer(Fault.unsolicited_answer, after=0.01, other=NOBODY)),
)
"""The answer is right in the end."""

_REFUSALS: tuple[tuple[float, Make], ...] = tuple(
    (1.0, _without_effect(Fault.status, code)) for code in (401, 403, 409, 422)
)

USABLE = frozenset(make({"effect": "before"}).kind for _, make in _USABLE)

_ON_ACCEPT = (
    Fault.reset_on_accept(), Fault.close_on_accept(), Fault.stall_connect(seconds=0.5), Fault.stall_connect(seconds=15),
)  # fmt: skip


@cache
def _weighted(usable: bool, refusals: bool) -> tuple[list[Make], list[float]]:
    menu = [*_UNUSABLE, *(_USABLE if usable else ()), *(_REFUSALS if refusals else ())]
    return [make for _, make in menu], [weight for weight, _ in menu]


class Misfortune(FaultScript):
    """Draws what befalls each connection and each request, until there is peace."""

    def __init__(
        self,
        surroundings: Surroundings,
        goal_stands: Callable[[Request], bool],
        customers: Callable[[], Sequence[int]],
    ) -> None:
        super().__init__(surroundings.seed)
        self.request: Request | None = None
        self.peaceful = False
        self.counts: Counter[str] = Counter()
        self._world = surroundings
        self._goal_stands = goal_stands
        self._customers = customers
        self._chance = random.Random(f"misfortune {surroundings.seed}")

    def __bool__(self) -> bool:
        return True

    def strike(
        self,
        level: Level,
        at: float,
        connection: int,
        operation: str = "",
        customer_id: int | None = None,
    ) -> Fault | None:
        """What befalls a connection or a request."""
        if self.peaceful:
            return None
        fault = None
        if level == "accept" and self._chance.random() < self._world.connections:
            fault = self._chance.choice(_ON_ACCEPT)
        elif level == "request" and self.request is not None:
            fault = self._of_request(self.request)
        if fault is not None and fault.kind == "other_id":
            fault = attrs.evolve(fault, options=(("other", self._somebody(self.request)),))
        if fault is not None:
            self.counts[name_of(fault)] += 1
        return fault

    def _somebody(self, request: Request | None) -> int:
        """A customer that the request is not about."""
        asked = None if request is None else request.customer_id
        return self._chance.choice([number for number in self._customers() if number != asked] or [NOBODY])

    def _of_request(self, request: Request) -> Fault | None:
        operation, world, chance = BY_TITLE.get(request.operation), self._world, self._chance
        if operation is None:
            return None
        if not operation.writes:
            if chance.random() < world.blind:
                return self._of_read()
            if request.operation in LAGGING and chance.random() < world.lagging:
                return Fault.lagging_read(round(chance.uniform(0.0, world.lag), 3))
            return None
        if chance.random() < world.proxied:
            return proxy_fault(chance, world.late_money if operation.moves_money else world.late)
        if chance.random() < world.faulty:
            return self._of_write(request)
        return None

    def _of_read(self) -> Fault:
        makes, weights = _weighted(True, False)
        return self._chance.choices(makes, weights)[0]({"effect": "before"})

    def _of_write(self, request: Request) -> Fault:
        operation, world, chance = BY_TITLE[request.operation], self._world, self._chance
        kind = chance.random()
        latest = world.late_money if operation.moves_money else world.late
        effect: dict[str, Any]
        if kind < 0.45:
            effect = {"effect": "before"}
        elif kind < 0.75:
            effect = {"effect": "none"}
        elif world.beyond and kind < 0.85:
            effect = {"effect": "late", "late_by": round(chance.uniform(2.1, 4.0) * latest, 3)}
        else:
            effect = {"effect": "late", "late_by": round(latest * chance.random() ** 2, 3)}
        # A good answer without the effect shows the customer as it is. If that is how it was to be, the service has
        # told a lie that nothing shows.
        shows = isinstance(operation.goal, StatusIs) and not self._goal_stands(request)
        makes, weights = _weighted(shows or effect["effect"] == "before", True)
        return chance.choices(makes, weights)[0](effect)


def name_of(fault: Fault) -> str:
    """A fault in a few words."""
    options = dict(fault.options)
    told = f"{fault.kind} {options['code']}" if "code" in options and fault.kind != "late_effect" else fault.kind
    return told if fault.effect == "before" or fault.kind.endswith("_effect") else f"{told}, effect {fault.effect}"
