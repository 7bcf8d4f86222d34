"""Jobs over many customers, which survive anything: `client.bulk`."""

from fusebill_async.bulk.canary import CanaryItem
from fusebill_async.bulk.control import Standing, Wanted, go, pause, read_standing, stop
from fusebill_async.bulk.forecasts import ItemForecast, Verdict
from fusebill_async.bulk.items import BadRow
from fusebill_async.bulk.job import BulkJob
from fusebill_async.bulk.journal_file import JobOwner, read_owner
from fusebill_async.bulk.page import write_page
from fusebill_async.bulk.previews import ItemPreview
from fusebill_async.bulk.report import BulkItem, BulkPlan, BulkReport, read_items, read_report
from fusebill_async.bulk.tallies import Tally
from fusebill_async.bulk.verbs import Bulk
from fusebill_async.bulk.verification import BulkCheck, Drift, Unreadable

__all__ = [
    "BadRow",
    "Bulk",
    "BulkCheck",
    "BulkItem",
    "BulkJob",
    "BulkPlan",
    "BulkReport",
    "CanaryItem",
    "Drift",
    "ItemForecast",
    "ItemPreview",
    "JobOwner",
    "Standing",
    "Tally",
    "Unreadable",
    "Verdict",
    "Wanted",
    "go",
    "pause",
    "read_items",
    "read_owner",
    "read_report",
    "read_standing",
    "stop",
    "write_page",
]
