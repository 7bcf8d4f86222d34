"""Jobs over many customers, which survive anything: `client.bulk`."""

from fusebill_async.bulk.items import BadRow
from fusebill_async.bulk.job import BulkJob
from fusebill_async.bulk.report import BulkItem, BulkPlan, BulkReport, read_items, read_report
from fusebill_async.bulk.tallies import Tally
from fusebill_async.bulk.verbs import Bulk

__all__ = ["BadRow", "Bulk", "BulkItem", "BulkJob", "BulkPlan", "BulkReport", "Tally", "read_items", "read_report"]
