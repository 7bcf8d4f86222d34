"""What a user may listen to. Every method does nothing until it is overridden."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusebill_async.outcome import Attempt, Outcome


class Hooks:
    """Override what you want to hear of, and hand instances to `FusebillClient(hooks=[...])`.

    Hooks are called in the event loop, between the steps of a call: be quick, and do not raise.
    """

    def attempt_ended(self, operation: str, customer_id: int | None, attempt: Attempt) -> None:
        """An attempt ended, whatever its end."""

    def settling_started(self, operation: str, customer_id: int | None) -> None:
        """A write was sent and no usable answer came; the customer will be read."""

    def settling_ended(self, operation: str, customer_id: int | None, outcome: Outcome) -> None:
        """Settling ended with this outcome."""

    def quota_threshold(self, window: str, used: float) -> None:
        """A threshold of `QuotaPolicy` was crossed: the used part (0 to 1) of the "minute" or the "day"."""
