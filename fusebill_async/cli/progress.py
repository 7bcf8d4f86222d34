"""Why a command takes its time, on stderr."""

from __future__ import annotations

from fusebill_async.cli.terminal import messages
from fusebill_async.session.events import QuotaEvent, SettlingEvent
from fusebill_async.session.hooks import Hooks


class Progress(Hooks):
    """Says on stderr why a command takes its time."""

    def settling_begun(self, settling: SettlingEvent) -> None:
        """A write got no usable answer. The outcome is told by the command itself."""
        about = f"{settling.operation} of customer {settling.customer_id}"
        _say(f"{about} got no usable answer: reading the customer to learn what happened")

    def quota_threshold(self, quota: QuotaEvent) -> None:
        """The quota is running out."""
        _say(f"{quota.used:.0%} of the quota of this {quota.window} is used")


def _say(text: str) -> None:
    messages().print(text, style="dim", markup=False)
