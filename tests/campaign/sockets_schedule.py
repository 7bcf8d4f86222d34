"""What the campaign asks, and what goes wrong meanwhile: each call from the seed and its number alone.

Service and client run in two processes and draw the same calls, so that neither has to tell the other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import attrs

from fusebill_async.operations import (
    ACTIVATE,
    CANCEL,
    CREATE,
    GEOTAB_LATCH,
    GEOTAB_UNLATCH,
    GET,
    HOLD,
    HUBSPOT_LATCH,
    HUBSPOT_UNLATCH,
    NETSUITE_DISABLE_SYNC,
    NETSUITE_ENABLE_SYNC,
    NETSUITE_LATCH,
    NETSUITE_UNLATCH,
    OVERVIEW,
    PREVIEW_ACTIVATION,
    PREVIEW_RELEASE_HOLD,
    RELEASE_HOLD,
    REPLACE,
    SALESFORCE_LATCH,
    UNCANCEL,
    UPDATE,
    Operation,
)
from fusebill_async.testing import Fault

QUIET_PERIOD = 0.25
"""Seconds. The campaign runs in a hurry; the bound that the client states is this one."""

_LATEST = 0.075
"""Seconds until an effect that is late but inside the quiet period, at most. The rest is for a busy machine."""


@attrs.frozen
class Mix:
    """How nasty it gets. All are shares of the calls, but for `second` and `reads`, which are of the faulty ones."""

    faulty: float = 0.30
    second: float = 0.15
    """The second attempt goes wrong too."""
    reads: float = 0.10
    """Some reads that settle go wrong too."""
    blind: float = 0.001
    """Every read that settles goes wrong, to the end."""
    beyond: float = 0.0
    """The effect comes later than the quiet period: the stated bound."""
    wrong_state: float = 0.03
    cancelled: float = 0.01
    others: float = 0.0
    """Somebody else acts on the same customer."""
    connections: float = 0.004
    """Of the connections that are made, so many meet a fault before any request."""
    read_first: float = 0.5
    resend: float = 0.3

    @property
    def within_bounds(self) -> bool:
        """Whether everything that happens is what the client promises to cope with: nothing is left to excuse."""
        return not self.beyond and not self.others


MIXES = {
    "usual": Mix(),
    "nasty": Mix(faulty=0.7, second=0.5, reads=0.4, blind=0.003, cancelled=0.05, connections=0.03),
    "impatient": Mix(faulty=0.5, second=0.3, reads=0.3, cancelled=0.5),
    "beyond": Mix(beyond=0.004, others=0.03),
    "crowded": Mix(faulty=0.5, second=0.3, others=0.5, wrong_state=0.1),
}

# An operation without a goal (`customers.activate_items`) has no place here: when its answer is lost, no read can
# tell. The matrix in `tests/outcomes` has it.
_OPERATIONS: tuple[tuple[Operation, str, float], ...] = (
    (HOLD, "Active", 18),
    (ACTIVATE, "Draft", 18),
    (UPDATE, "Active", 13),
    (HUBSPOT_UNLATCH, "Active", 10),
    (RELEASE_HOLD, "Hold", 8),
    (CANCEL, "Active", 6),
    (REPLACE, "Active", 4),
    (CREATE, "Draft", 3),
    (UNCANCEL, "Cancelled", 3),
    (HUBSPOT_LATCH, "Active", 1),
    (SALESFORCE_LATCH, "Active", 1),
    (NETSUITE_LATCH, "Active", 1),
    (NETSUITE_UNLATCH, "Active", 1),
    (NETSUITE_ENABLE_SYNC, "Active", 1),
    (NETSUITE_DISABLE_SYNC, "Active", 1),
    (GEOTAB_LATCH, "Active", 1),
    (GEOTAB_UNLATCH, "Active", 1),
    (GET, "Active", 4),
    (OVERVIEW, "Active", 1),
    (PREVIEW_ACTIVATION, "Draft", 3),
    (PREVIEW_RELEASE_HOLD, "Hold", 1),
)
_WRONG_STATE = {
    HOLD: "Hold",
    ACTIVATE: "Active",
    RELEASE_HOLD: "Active",
    CANCEL: "Cancelled",
    UNCANCEL: "Active",
    PREVIEW_ACTIVATION: "Hold",
    PREVIEW_RELEASE_HOLD: "Active",
}
_FIELDS: dict[Operation, dict[str, Any]] = {
    NETSUITE_UNLATCH: {"netsuite_id": "999001"},
    NETSUITE_ENABLE_SYNC: {"netsuite_synch_status": "Disabled"},
    NETSUITE_DISABLE_SYNC: {"netsuite_synch_status": "Enabled"},
    GEOTAB_UNLATCH: {"geotab_id": "G-77"},
}
"""What a customer of an operation has, so that it changes something."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    ACTIVATE.title: {
        "activate_all_subscriptions": True,
        "activate_all_draft_purchases": True,
        "temporarily_disable_auto_post": False,
    },
    RELEASE_HOLD.title: {"service_start_option": "NoChargesForMissedPeriods"},
    PREVIEW_RELEASE_HOLD.title: {"service_start_option": "NoChargesForMissedPeriods"},
    CANCEL.title: {"cancellation_option": "None"},
    HUBSPOT_LATCH.title: {"hubspot_id": 77, "hubspot_company_id": 88},
    SALESFORCE_LATCH.title: {"salesforce_id": "0011U000005Ihdk", "force_latch": True},
    NETSUITE_LATCH.title: {"netsuite_id": "999002"},
    NETSUITE_UNLATCH.title: {"netsuite_id": "999001"},
    GEOTAB_LATCH.title: {"geotab_id": "G-78"},
}
"""What every call of an operation gives besides the customer."""


def _menu() -> tuple[tuple[float, Callable[[Mapping[str, Any]], Fault]], ...]:
    """Kinds of trouble by weight; each takes whether and when the effect happens."""

    def answer(make: Callable[..., Fault], *arguments: Any, **options: Any) -> Callable[[Mapping[str, Any]], Fault]:
        return lambda effect: make(*arguments, **options, **effect)

    def cut(name: str) -> Callable[[Mapping[str, Any]], Fault]:
        def make(effect: Mapping[str, Any]) -> Fault:
            if effect["effect"] == "late":
                return Fault.late_effect(delay=effect["late_by"], then=name)  # type: ignore[arg-type]
            when = "before" if effect["effect"] == "none" else "after"
            made: Fault = getattr(Fault, f"{name}_{when}_effect")()
            return made

        return make

    def without_effect(make: Callable[..., Fault], **options: Any) -> Callable[[Mapping[str, Any]], Fault]:
        return lambda _: make(**options)

    return (
        (14, cut("reset")),
        (12, cut("close")),
        (6, cut("hang")),
        *((2.0, answer(Fault.status, code)) for code in (408, 500, 502, 503, 504)),
        *((1.0, without_effect(Fault.status, code=code)) for code in (401, 403, 409, 422)),
        *(
            (0.02, without_effect(Fault.status, code=429, retry_after=0.01, quota_headers=headers))
            for headers in ("with", "without", "garbage")
        ),
        (2, answer(Fault.redirect)),
        (1, answer(Fault.redirect, to="https://elsewhere.example/v1/")),
        (2, answer(Fault.html)),
        (1, answer(Fault.html, code=502)),
        (2, answer(Fault.empty)),
        (2, answer(Fault.no_content)),
        (2, answer(Fault.null_body)),
        (2, answer(Fault.bad_json)),
        (2, answer(Fault.wrong_types)),
        (2, answer(Fault.other_id)),
        (2, answer(Fault.unsolicited_answer)),
        (2, answer(Fault.unsolicited_answer, after=0.01)),
        (2, answer(Fault.duplicate_content_length)),
        (2, answer(Fault.cut_body)),
        (2, answer(Fault.cut_body, then="reset")),
        (1, answer(Fault.slow_body, seconds=0.01)),
        (1, answer(Fault.slow_body, seconds=0.3)),
        (2, answer(Fault.broken_gzip)),
        (1, answer(Fault.gzip_answer)),
        (2, answer(Fault.delay, 0.02)),
        (2, answer(Fault.delay, 0.3)),
        (2, answer(Fault.close_after_answer)),
        (2, answer(Fault.close_after_answer, then="reset")),
        *(
            (2.0, without_effect(getattr(Fault, f"{end}_in_{part}")))
            for end in ("reset", "close")
            for part in ("headers", "body")
        ),
        *(
            (2.0, answer(getattr(Fault, f"{end}_in_{part}"), of="answer"))
            for end in ("reset", "close")
            for part in ("headers", "body")
        ),
        # Each costs megabytes, so there are only some of them.
        (0.1, answer(Fault.gzip_bomb)),
        (0.1, answer(Fault.deep_json)),
        (0.1, answer(Fault.header_flood, count=500)),
        (0.1, answer(Fault.oversized_body)),
    )  # fmt: skip


@cache
def _weighted() -> tuple[list[Callable[[Mapping[str, Any]], Fault]], list[float]]:
    menu = _menu()
    return [make for _, make in menu], [weight for weight, _ in menu]


# A status with an effect behind it would be a service that lies: a refusal says that nothing happened.
_REFUSES = frozenset({401, 403, 409, 422, 429})


@attrs.frozen
class Other:
    """Somebody else, who acts on the customer: `earlier` than the call is sent, or `meanwhile`."""

    operation: Operation
    moment: str
    after: float


@attrs.frozen
class Planned:
    """One call.

    Attributes:
        number: from 0; the customer's id is one more. A create has a `reference` of its own in its place.
        status: of the customer before.
        read_first: the caller reads the customer, and hands in what it read.
        blind: every read that would settle it fails.
        beyond: an effect comes later than the quiet period.
        faults: of the attempts in order, None for a good one.
        read_faults: of the reads in order.
        cancelled_after: seconds.
    """

    number: int
    operation: Operation
    status: str
    read_first: bool
    resend: bool
    blind: bool
    beyond: bool
    faults: tuple[Fault | None, ...]
    read_faults: tuple[Fault | None, ...]
    other: Other | None
    cancelled_after: float | None

    def __str__(self) -> str:
        told = [f"call {self.number}: {self.operation.title} of a customer with status {self.status}"]
        told += [name for name in ("read_first", "resend", "blind", "beyond") if getattr(self, name)]
        told += [f"{name} {getattr(self, name)}" for name in ("faults", "read_faults") if getattr(self, name)]
        if self.other is not None:
            told.append(f"somebody else: {self.other.operation.title} {self.other.moment}")
        if self.cancelled_after is not None:
            told.append(f"cancelled after {self.cancelled_after:.3f} s")
        return ", ".join(told)

    @property
    def customer_id(self) -> int:
        """The customer, who belongs to this call alone."""
        return self.number + 1

    @property
    def reference(self) -> str:
        """By which a customer that this call creates is known."""
        return f"call-{self.number}"

    @property
    def fields(self) -> dict[str, Any]:
        """What its customer has besides the status."""
        return _FIELDS.get(self.operation, {})

    @property
    def wrong_state(self) -> bool:
        """Whether the service would refuse it."""
        allowed = self.operation.allowed_from
        return allowed is not None and self.status not in allowed


def plan_call(seed: int, number: int, mix: Mix) -> Planned:
    """Draw a call."""
    chance = random.Random(seed * 1_000_003 + number)
    draw = chance.random
    operation, status, _ = chance.choices(_OPERATIONS, [weight for *_, weight in _OPERATIONS])[0]
    if draw() < mix.wrong_state:
        status = _WRONG_STATE.get(operation, status)
    faulty = draw() < mix.faulty
    beyond = draw() < mix.beyond and operation.writes
    blind = draw() < mix.blind and operation.writes
    faults: list[Fault | None] = []
    read_faults: list[Fault | None] = []
    if beyond:
        delay = QUIET_PERIOD + 0.3 + 0.2 * draw()
        faults.append(Fault.late_effect(delay=delay, then="reset"))
    elif faulty or blind:
        faults.append(_draw_fault(chance))
        while draw() < mix.second:
            faults.append(_draw_fault(chance))
        if draw() < mix.reads:
            read_faults = [_draw_fault(chance) if draw() < 0.6 else None for _ in range(3)]
    other = None
    if draw() < mix.others and operation.writes and operation is not CREATE:
        same = draw() < 0.7
        acts = operation if same and operation not in {UPDATE, REPLACE} else CANCEL if draw() < 0.5 else HUBSPOT_UNLATCH
        other = Other(acts, "earlier" if draw() < 0.5 else "meanwhile", 0.03 * draw())
    return Planned(
        number=number,
        operation=operation,
        status=status,
        read_first=operation is not CREATE
        and (draw() < mix.read_first or operation is REPLACE or (other is not None and other.moment == "earlier")),
        resend=draw() < mix.resend,
        blind=blind,
        beyond=beyond,
        faults=tuple(faults),
        read_faults=tuple(read_faults),
        other=other,
        cancelled_after=0.03 * draw() if draw() < mix.cancelled else None,
    )


def _draw_fault(chance: random.Random) -> Fault:
    kind = chance.random()
    effect: dict[str, Any]
    if kind < 0.45:
        effect = {"effect": "before"}
    elif kind < 0.8:
        effect = {"effect": "none"}
    else:
        effect = {"effect": "late", "late_by": 0.005 + chance.random() * (_LATEST - 0.005)}
    makes, weights = _weighted()
    fault = chance.choices(makes, weights)[0](effect)
    return attrs.evolve(fault, effect="none") if fault.kind == "status" and fault["code"] in _REFUSES else fault


def arguments_of(title: str) -> dict[str, Any]:
    """What a call of an operation gives besides the customer."""
    return ARGUMENTS.get(title, {})
