"""The simulator in a thread of its own: for sync tests, for workers, and for Starlette's TestClient."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fusebill_async import FusebillClient
from fusebill_async.testing import Fault, FusebillServer
from tests.conftest import QUICK

ROOT = Path(__file__).parents[2]


def hold(base_url: str, customer_id: int) -> str:
    """As a task of Celery does it: an event loop for the task."""

    async def work() -> str:
        async with FusebillClient("key", base_url=base_url, settling=QUICK) as client:
            return str((await client.customers.hold(customer_id)).status)

    return asyncio.run(work())


def test_a_sync_test(fusebill_server: FusebillServer):
    customer_id = fusebill_server.add_customer(status="Active")
    fusebill_server.inject(Fault.reset_after_effect(operation="hold"))
    assert hold(fusebill_server.base_url, customer_id) == "Hold"
    fusebill_server.assert_effects("hold", customer_id, 1)
    assert fusebill_server.effects("hold", customer_id) == 1


def test_the_next_test_begins_anew(fusebill_server: FusebillServer):
    assert fusebill_server.requests == []
    assert fusebill_server.effects("hold") == 0


def test_many_threads_use_it(fusebill_server: FusebillServer):
    ids = [fusebill_server.add_customer(status="Active") for _ in range(12)]
    with concurrent.futures.ThreadPoolExecutor(4) as workers:
        assert list(workers.map(hold, [fusebill_server.base_url] * 12, ids)) == ["Hold"] * 12
    fusebill_server.assert_effects("hold", times=12)


def test_another_process_uses_it(fusebill_server: FusebillServer):
    customer_id = fusebill_server.add_customer(status="Active")
    given = {**os.environ, "FUSEBILL_API_KEY": "key", "FUSEBILL_BASE_URL": fusebill_server.base_url}
    command = [sys.executable, "-m", "fusebill_async.cli", "hold", str(customer_id)]
    subprocess.run(command, check=True, capture_output=True, env={**given, "PYTHONPATH": str(ROOT)})
    fusebill_server.assert_effects("hold", customer_id, 1)


def test_a_server_of_ones_own_ends_with_its_block():
    with FusebillServer(customers=3, customers_status="Active") as fusebill:
        assert fusebill.call(lambda simulator: simulator.customer_ids) == [1, 2, 3]
        assert hold(fusebill.base_url, 2) == "Hold"
        assert "fusebill-server" in {thread.name for thread in threading.enumerate()}
    fusebill.assert_effects("hold", 2, 1)
    with pytest.raises(AssertionError, match=r"happened once, and was to happen 2 times"):
        fusebill.assert_effects("hold", 2, 2)
    with pytest.raises(AssertionError, match=r"happened once, and was to happen never"):
        fusebill.assert_effects("hold", 2, 0)


def test_what_keeps_it_from_starting_is_raised(tmp_path: Path):
    with pytest.raises(OSError, match="assign"), FusebillServer(host="203.0.113.1"):
        pass
