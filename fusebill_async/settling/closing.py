"""Closes an intent after its caller was told the outcome: a kill never leaves an effect that nobody knows of."""

from __future__ import annotations

import asyncio

from fusebill_async.settling.intent import Intent
from fusebill_async.settling.protocols import Ledger

_TURNS = 4
"""Turns of the event loop in which an outcome reaches its caller: one is enough for who awaits the call itself, and two
more are taken by each `asyncio.wait_for` or `asyncio.gather` around it."""


class ClosedWhenTold:
    """The intents whose outcome is known in this process, and stands open in the ledger yet.

    Whoever is killed before its caller went on has told nobody. The next process then finds the intent open, and reads.

    Args:
        ledger: where they are closed.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, Intent] = {}

    def __contains__(self, intent_id: str) -> bool:
        return intent_id in self._known

    def keep(self, intent: Intent) -> None:
        """Its outcome is known, and its caller has yet to be told."""
        self._known[intent.id] = intent

    def told(self, intent: Intent) -> None:
        """Close it soon. Call it in the caller's own task, right before the outcome is returned or raised."""
        if intent.id in self._known:
            asyncio.get_running_loop().call_soon(self._close_after, _TURNS - 1, intent)

    def close(self, intent: Intent) -> None:
        """Close it now: nobody waits for the outcome."""
        if self._known.pop(intent.id, None) is not None:
            self._ledger.close(intent)

    async def aclose(self) -> None:
        """Give those who wait their turn, and close what is left."""
        for _ in range(2 * _TURNS):
            if self._known:
                await asyncio.sleep(0)
        for intent in list(self._known.values()):
            self.close(intent)

    def _close_after(self, turns: int, intent: Intent) -> None:
        if turns and intent.id in self._known:
            asyncio.get_running_loop().call_soon(self._close_after, turns - 1, intent)
        else:
            self.close(intent)
