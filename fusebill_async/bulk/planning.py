"""What a job costs: its calls, and how long they take under the quota."""

from __future__ import annotations

from math import ceil

from fusebill_async.bulk.id_sets import MOST_IDS
from fusebill_async.bulk.items import Item, Kind
from fusebill_async.bulk.report import BulkPlan, BulkReport
from fusebill_async.resources.core import ClientCore
from fusebill_async.wire.request import Request

_DAY = 86_400.0


def planned(
    core: ClientCore,
    kind: Kind,
    report: BulkReport,
    *,
    bad: tuple[int, list[tuple[int, str]]],
    first: list[Item],
    reads_ahead: bool,
) -> BulkPlan:
    """The plan of a job.

    Args:
        core: of the client.
        kind: what the job does.
        report: how it stands.
        bad: how many rows are bad, and the first ones with what is wrong.
        first: the first items that are to be done.
        reads_ahead: whether customers are read ahead of their items.
    """
    calls = report.unprocessed * kind.requests
    if reads_ahead:
        calls += ceil(report.unprocessed / MOST_IDS)
    seconds, days = _duration(core, calls)
    return BulkPlan(
        operation=kind.operation.title,
        items=report.items,
        duplicates=report.duplicates,
        bad_rows=bad[0],
        examples=tuple(bad[1]),
        to_do=report.unprocessed,
        calls=calls,
        quota=core.session.admission.quota,
        seconds=seconds,
        days=days,
        first_requests=tuple(_request(core, kind, item) for item in first),
    )


def _duration(core: ClientCore, calls: int) -> tuple[float, int]:
    """How many seconds so many calls take at least, and on how many days they are made."""
    quota, policy = core.session.admission.quota, core.quota_policy
    if not policy.enabled:
        return 0.0, 1
    minute = (quota.minute.limit if quota.minute else policy.per_minute) * policy.share
    day = (quota.day.limit if quota.day else policy.per_day) * policy.share * (1 - policy.day_reserve)
    per_second = minute / 60
    today = min(calls, max(0.0, day - quota.used_day))
    rest = calls - today
    if rest <= 0:
        return calls / per_second, 1
    # What is left today comes first, then one whole day after the other, and last what remains.
    further = ceil(rest / day)
    wall = core.session.effects.wall()
    ends = quota.day.resets_at.timestamp() - wall if quota.day and quota.day.resets_at else _DAY - wall % _DAY
    seconds = max(ends, today / per_second) + (further - 1) * _DAY + (rest - (further - 1) * day) / per_second
    return seconds, further + 1


def _request(core: ClientCore, kind: Kind, item: Item) -> Request:
    write = kind.write(core, item)
    if write.call.request is not None:
        return write.call.request
    assert write.update is not None
    return write.update.as_asked()
