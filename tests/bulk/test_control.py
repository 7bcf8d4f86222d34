"""A job is paused, goes on and is stopped by a row of its journal, which any process may write."""

from __future__ import annotations

import asyncio
import getpass
import signal
import socket
import subprocess
import sys
import time

import pytest

from fusebill_async import ConfigurationError, FusebillClient, QuotaPolicy, StoreUnavailableError, bulk
from fusebill_async.bulk import read_report, read_standing
from fusebill_async.bulk.journal import Journal
from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota, run_simulated
from tests.bulk.conftest import held
from tests.bulk.worlds import LONG_AGO

UNDER_WAY = 0.3
"""Seconds that a call takes in these tests, with room for a slow machine."""


def told_by_another_process(verb, journal):
    code = "import sys; from fusebill_async import bulk; getattr(bulk, sys.argv[1])(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, verb, str(journal)], check=True, timeout=30)


async def said(verb, journal):
    """Have another process say it; when that was."""
    await asyncio.to_thread(told_by_another_process, verb, journal)
    return time.time()


async def effects(fusebill, count):
    async with asyncio.timeout(20):
        while len(fusebill.effects_log) < count:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)


async def silence(fusebill, seconds):
    """Nothing is sent for so long."""
    before = len(fusebill.effects_log)
    await asyncio.sleep(seconds)
    assert len(fusebill.effects_log) == before


async def test_pause_to_silence_and_go_to_the_first_send(fusebill, client, journal):
    for each in range(1, 1001):
        fusebill.add_customer(id=each, status="Active")
    fusebill.inject(Fault.delay(0.05, operation="hold", times=None))
    job = client.bulk.hold(range(1, 1001), journal=journal, concurrency=4)
    running = asyncio.create_task(job.run())
    await effects(fusebill, 20)
    paused = await said("pause", journal)
    await asyncio.sleep(1.0 + UNDER_WAY)
    await silence(fusebill, 1.0)
    assert fusebill.effects_log[-1].at < paused + 1.0 + UNDER_WAY
    stood = read_standing(journal)
    assert stood.runs
    assert stood.held_for == f"paused by {getpass.getuser()} on {socket.gethostname()}"
    sent = len(fusebill.effects_log)
    gone_on = await said("go", journal)
    await effects(fusebill, sent + 1)
    assert fusebill.effects_log[sent].at < gone_on + 2.0
    stopped = await said("stop", journal)
    report = await running
    assert "it was stopped by " in report.stopped
    assert fusebill.effects_log[-1].at < stopped + 1.0 + UNDER_WAY
    assert report.applied == len(fusebill.effects_log) < 1000
    # What was said of one run does not stop the next one.
    fusebill.clear_faults()
    assert (await client.bulk.resume(journal).run()).applied == 1000
    assert len(fusebill.effects_log) == 1000


def test_calls_that_wait_for_the_quota_are_held_back_too(journal):
    """At six calls a minute 32 of them wait in line for minutes. None of them goes after a pause."""

    async def main():
        async with FusebillSimulator(quota=SimulatorQuota(per_minute=6, per_day=10_000)) as fusebill:
            for each in range(1, 61):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                job = client.bulk.hold(range(1, 61), journal=journal, snapshot=False)
                running = asyncio.create_task(job.run())
                await asyncio.sleep(90)
                assert 6 <= len(fusebill.effects_log) < 30
                bulk.pause(journal)
                await asyncio.sleep(1.1)
                sent = fusebill.received("hold")
                await asyncio.sleep(3600)
                assert fusebill.received("hold") == sent
                assert client.quota.waiting[max(client.quota.waiting)] == 0
                bulk.go(journal)
                report = await running
            assert (report.applied, report.unprocessed) == (60, 0)
            assert fusebill.effects("hold") == 60

    run_simulated(main)


SENT_BEFORE = {
    "refused for the quota": lambda: Fault.status(429, operation="hold", headers={"Retry-After": "30"}),
    "lost, and settled as not applied": lambda: Fault.reset_before_effect(operation="hold"),
}


@pytest.mark.parametrize("why", SENT_BEFORE)
def test_a_call_that_was_sent_before_waits_as_well_and_loses_nothing(journal, why):
    async def main():
        async with FusebillSimulator() as fusebill:
            for each in range(1, 9):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            fusebill.inject(SENT_BEFORE[why]())
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                running = asyncio.create_task(client.bulk.hold(range(1, 9), journal=journal, snapshot=False).run())
                await asyncio.sleep(5)
                bulk.pause(journal)
                await asyncio.sleep(1.1)
                sent = fusebill.received("hold")
                await asyncio.sleep(600)
                assert fusebill.received("hold") == sent
                # It has not ended: it is open until it is sent again.
                report = read_report(journal)
                assert (report.rejected, report.not_applied, report.unknown) == (0, 0, 1)
                bulk.go(journal)
                report = await running
            assert (report.applied, report.rejected) == (8, 0)
            assert fusebill.effects("hold") == 8

    run_simulated(main)


async def test_a_stop_ends_a_job_that_is_paused(fusebill, client, journal, customers):
    await client.bulk.hold(customers, journal=journal).plan()
    bulk.pause(journal)
    running = asyncio.create_task(client.bulk.resume(journal).run())
    await silence(fusebill, 0.3)
    bulk.stop(journal)
    async with asyncio.timeout(3):
        report = await running
    assert (report.applied, report.unprocessed) == (0, 10)
    assert fusebill.received("hold") == 0


async def test_a_pause_outlives_the_process_that_was_paused(fusebill, client, journal, customers):
    process = None
    with fusebill.hold_open("hold"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bulk.worker", "hold", fusebill.base_url, str(journal), "10"
        )
        await held(fusebill, 10)
        before = bulk.pause(journal)
        assert before.owner.pid == process.pid
        process.send_signal(signal.SIGKILL)
        await process.wait()
    stood = read_standing(journal)
    assert (stood.wanted, stood.runs, stood.held_for) == ("pause", False, "")
    running = asyncio.create_task(client.bulk.resume(journal).run())
    await silence(fusebill, 1.2)
    assert fusebill.received("hold") == 10
    bulk.go(journal)
    assert (await running).applied == 10
    assert fusebill.effects("hold") == 10


async def test_a_job_that_is_taken_over_while_it_is_paused_ends(fusebill, client, journal, customers):
    await client.bulk.hold(customers, journal=journal).plan()
    bulk.pause(journal)
    running = asyncio.create_task(client.bulk.resume(journal).run())
    await silence(fusebill, 0.2)
    other = Journal(journal, create=False, take_over=True)
    await other.open()
    with pytest.raises(StoreUnavailableError, match="taken over"):
        await asyncio.wait_for(running, 5)
    await other.aclose()
    assert fusebill.received("hold") == 0


async def test_no_journal_no_control(tmp_path):
    for verb in (bulk.pause, bulk.go, bulk.stop, read_standing):
        with pytest.raises(ConfigurationError, match="there is no journal"):
            verb(tmp_path / "nothing.sqlite")


async def test_an_outage_is_told_as_the_reason(fusebill, journal, customers):
    fusebill.inject(Fault.refuse(seconds=2.5))
    async with FusebillClient("key", base_url=fusebill.base_url, quota=QuotaPolicy.off()) as client:
        job = client.bulk.hold(customers, journal=journal, concurrency=1)
        await job.plan()
        running = asyncio.create_task(job.run())
        async with asyncio.timeout(10):
            while read_standing(journal).held_for[:28] != "the service is out of reach:":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await running).applied == 10
