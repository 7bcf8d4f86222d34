"""How a job is run."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs

from fusebill_async.bulk.handing_out import Workers
from fusebill_async.bulk.items import Kind
from fusebill_async.bulk.limits import Limits
from fusebill_async.errors import ConfigurationError, shown

Retry: TypeAlias = Literal["rejected", "not_applied", "unknown"]

_MOST_WORKERS = 10_000
LARGEST_CANARY = 1_000


@attrs.frozen(kw_only=True)
class JobOptions:
    """How a job is run; see `StartJob` and `Bulk.resume`."""

    concurrency: int = 32
    skip_bad_rows: bool = False
    limits: Limits = attrs.field(factory=Limits)
    retry: Retry | None = None
    message: str | None = None
    take_over: bool = False
    snapshot: bool | None = None
    skip_done: bool = False
    single_reads: bool = False
    canary: int | None = None
    workers: Workers | None = None

    def __attrs_post_init__(self) -> None:
        if type(self.concurrency) is not int or not 1 <= self.concurrency <= _MOST_WORKERS:
            raise ConfigurationError(
                f"concurrency= must be a whole number from 1 to {_MOST_WORKERS:,}, not {shown(self.concurrency)}"
            )
        canary = self.canary
        if canary is not None and (type(canary) is not int or not 1 <= canary <= LARGEST_CANARY):
            raise ConfigurationError(
                f"canary= must be a whole number from 1 to {LARGEST_CANARY:,}, or None, not {shown(canary)}"
            )
        if self.skip_done and self.snapshot is False:
            raise ConfigurationError("skip_done= rests on the snapshot: leave out snapshot=False")
        if self.retry not in (None, "rejected", "not_applied", "unknown"):
            raise ConfigurationError(
                f'retry= must be "rejected", "not_applied", "unknown" or None, not {shown(self.retry)}'
            )
        if self.message is not None and self.retry not in ("rejected", "not_applied"):
            raise ConfigurationError('message= chooses among those of retry="rejected" or retry="not_applied"')

        if self.workers is not None and not hasattr(self.workers, "carry_out"):
            raise ConfigurationError(
                "workers= must be Workers(url), from fusebill_async.distributed, or None, not a value of type "
                f"{type(self.workers).__name__}"
            )

    def reads_ahead(self, kind: Kind) -> bool:
        """Whether customers are read ahead of their items."""
        return self.skip_done or (kind.takes_snapshot if self.snapshot is None else self.snapshot)

    def as_json(self) -> dict[str, Any]:
        """The options, for the journal and its report."""
        window = self.limits.window
        limits = attrs.asdict(self.limits, filter=lambda field, _: field.name != "window")
        own = attrs.asdict(self, recurse=False, filter=lambda field, _: field.name not in {"limits", "workers"})
        zone = None if window is None or window.zone is None else window.zone.key
        hours = None if window is None else window.hours
        # The address of the workers may hold a password.
        return {**own, **limits, "window": hours, "tz": zone, "workers": self.workers is not None}
