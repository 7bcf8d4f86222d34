"""A kill after each step of the process that runs a job, and in each of its commits: every boundary is among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.bulk.worlds import Found, Strike, run_world

KINDS = ("kill", "before", "after")
"""Killed between two steps; in a commit that is then lost; in one that counts, and was not acknowledged."""


def boundaries(
    name: str, *, items: int = 50, every: int = 1, first: int = 1, kinds: Iterable[str] = KINDS
) -> Iterator[tuple[Strike, Found]]:
    """Run a job once for each boundary, and resume it after the kill.

    Args:
        name: of the deed.
        items: of the job.
        every: look at one boundary of so many.
        first: of them.
        kinds: of kills.
    """
    for what in kinds:
        after, reached_end = first, False
        while not reached_end:
            strike = Strike(after, what)
            found = run_world(name, [strike], items=items)
            yield strike, found
            reached_end = found.reached_end
            after += every
