"""Letting go of the frames that an error has seen."""

from __future__ import annotations


def forget_frames(error: BaseException) -> None:
    """Drop the traceback of an error that goes no further, and of those that it came from.

    The function that collects the errors of several addresses, under aiohttp, keeps a list of them in its frame, and
    each of them knows that frame. In an outage such a ring keeps the request of every attempt until the cycle
    collector comes.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        waiting += [one.__context__, one.__cause__, getattr(one, "os_error", None)]
        waiting += getattr(one, "exceptions", ())
