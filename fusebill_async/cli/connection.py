"""The client that a command uses: key and base URL come from the environment, never from an option."""

from __future__ import annotations

from pathlib import Path

from fusebill_async.cli.terminal import messages
from fusebill_async.client import FusebillClient
from fusebill_async.session.events import QuotaEvent, SettlingEvent
from fusebill_async.session.hooks import Hooks
from fusebill_async.settings import SettlingPolicy
from fusebill_async.stores.sqlite import SQLiteStore

# A program that ends cannot settle in the background: it waits for two reads a quiet period (60 s) apart.
SETTLING = SettlingPolicy(wait=120.0)


class Progress(Hooks):
    """Says on stderr why a command takes its time."""

    def settling_begun(self, settling: SettlingEvent) -> None:
        """A write got no usable answer. The outcome is told by the command itself."""
        about = f"{settling.operation} of customer {settling.customer_id}"
        self._say(f"{about} got no usable answer: reading the customer to learn what happened")

    def quota_threshold(self, quota: QuotaEvent) -> None:
        """The quota is running out."""
        self._say(f"{quota.used:.0%} of the quota of this {quota.window} is used")

    def _say(self, text: str) -> None:
        messages().print(text, style="dim", markup=False)


def open_client(*, quiet: bool, store: Path | None = None) -> FusebillClient:
    """A client from FUSEBILL_API_KEY and FUSEBILL_BASE_URL.

    Args:
        quiet: whether nothing is said on stderr meanwhile.
        store: the file that keeps what is not known yet; None is this process alone.

    Raises:
        ConfigurationError: the environment does not hold what is needed.
    """
    kept = None if store is None else SQLiteStore(store)
    return FusebillClient.from_env(settling=SETTLING, hooks=[] if quiet else [Progress()], store=kept)
