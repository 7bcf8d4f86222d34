"""A gate: it holds back the calls of a batch that nothing was sent for yet, until it opens again."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fusebill_async.errors import FusebillError


class HeldBackError(FusebillError):
    """A call was not sent, since its batch is held back. It is caught by whoever closed the gate."""


class GateClosed(Exception):  # noqa: N818 - a fact that the slot translates
    """A call may not pass now. Nothing was sent."""


class Gate:
    """Lets the calls of a batch to their slots, or not. It is open at first."""

    def __init__(self) -> None:
        self._is_open = True
        self._is_ending = False
        self._changed = asyncio.Event()
        self._in_line: set[asyncio.Future[Any]] = set()

    @property
    def is_open(self) -> bool:
        """Whether every call may pass."""
        return self._is_open

    def open(self) -> None:
        """Let every call pass."""
        self._is_open = True
        self._changed.set()

    def close(self) -> None:
        """Let no call pass, and turn away those that wait in line for a slot."""
        self._is_open = False
        self._changed.clear()
        for place in self._in_line:
            if not place.done():
                place.set_exception(GateClosed())

    def end(self) -> None:
        """Let no new call pass; one that was sent before, and is to be sent again, may come to its end."""
        self.close()
        self._is_ending = True
        self._changed.set()

    def check(self, *, sent_before: bool) -> None:
        """See whether a call may pass.

        Raises:
            GateClosed: it may not.
        """
        if not (self._is_open or (self._is_ending and sent_before)):
            raise GateClosed

    async def opened(self) -> None:
        """Wait until a call that was sent before may pass."""
        await self._changed.wait()

    @contextmanager
    def in_line(self, place: asyncio.Future[Any]) -> Generator[None]:
        """Turn a call away that waits for a slot, if the gate closes meanwhile.

        Args:
            place: what the call waits for; it gets `GateClosed`.
        """
        self._in_line.add(place)
        try:
            yield
        finally:
            self._in_line.discard(place)
