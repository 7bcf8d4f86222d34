"""Calls and jobs that other processes carry out: streaq delivers them, and idempotency keys make them once.

Nothing of the guarantee is in here: an engine delivers at least once, and may lose what it was given.
"""

from fusebill_async.distributed.worker import run_worker, worker
from fusebill_async.distributed.workers import Workers

__all__ = ["Workers", "run_worker", "worker"]
