"""What a failed expectation shows: what arrived at the simulator, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fusebill_async.testing.effect_log import EffectLog
from fusebill_async.testing.faults import Fault
from fusebill_async.testing.messages import Request

_SHOWN = 50
"""Requests shown at most: the last ones."""


def arrived(requests: Sequence[Request]) -> str:
    """The requests in their order: when, on which connection, what, and what became of each."""
    if not requests:
        return "No request arrived."
    first = requests[0].at
    shown = list(requests)[-_SHOWN:]
    lines = [f"What arrived, the last {len(shown)} of {len(requests)}:" if len(requests) > _SHOWN else "What arrived:"]
    width = max(len(request.target) for request in shown)
    lines += [_line(request, request.at - first, width) for request in shown]
    return "\n".join(lines)


def _line(request: Request, after: float, width: int) -> str:
    asked = f"{request.method:<4} {request.target:<{width}}"
    what = f"{request.operation or 'no operation'}: {_fate(request)}"
    return f"  {after:8.3f} s  connection {request.connection}  {asked}  {what}"


def _fate(request: Request) -> str:
    told = request.fate or "not answered"
    return f"{told}, and it had its effect" if request.had_effect else told


def wrong_count(operation: str, customer_id: int | None, found: int, wanted: int) -> str:
    """That an effect did not happen as often as it was to."""
    return f"{_whose(operation, customer_id)} happened {_times(found)}, and was to happen {_times(wanted)}."


def never_struck(faults: Iterable[Fault]) -> list[str]:
    """That faults wait still: the code under test never came to the place that they were made for."""
    return [f"{fault!r} was injected and never struck." for fault in faults]


def unexpected_writes(log: EffectLog, asserted: Mapping[tuple[str, int | None], int]) -> list[str]:
    """The effects that a test which names some does not name, or that came after it had named them.

    Args:
        log: what happened.
        asserted: how often the effect of an operation was found, by its title and the customer's id (None: all).
    """
    told = [
        f"{_whose(operation, customer_id)} happened {_times(count)}, and no assert_effects names it."
        for (operation, customer_id), count in log.counted().items()
        if customer_id is not None and not asserted.keys() & {(operation, customer_id), (operation, None)}
    ]
    told += [
        f"{_whose(operation, customer_id)} had happened {_times(count)} when assert_effects looked, "
        f"and {_times(log.effects(operation, customer_id))} at the end of the test."
        for (operation, customer_id), count in asserted.items()
        if log.effects(operation, customer_id) != count
    ]
    return told


def _whose(operation: str, customer_id: int | None) -> str:
    return operation if customer_id is None else f"{operation} of customer {customer_id}"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")
