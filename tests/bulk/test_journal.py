"""The file of a job: whose it is, and what is said when it cannot be used."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing

import pytest

from fusebill_async import ConfigurationError, FusebillClient, StoreUnavailableError
from fusebill_async.bulk import read_report
from fusebill_async.bulk.journal import Journal
from fusebill_async.bulk.journal_file import JournalFile
from fusebill_async.stores.effects import Process, StoreEffects
from fusebill_async.stores.group_commit import GroupCommit
from tests.bulk.conftest import held


async def start_a_job(fusebill, journal):
    """A real process in the middle of a job."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bulk.worker", "hold", fusebill.base_url, str(journal), "10"
    )
    await held(fusebill, 10)
    return process


async def test_a_second_process_fails_at_once_and_is_told_who_has_it(fusebill, client, journal, customers):
    with fusebill.hold_open("hold"):
        process = await start_a_job(fusebill, journal)
        with pytest.raises(ConfigurationError, match=rf"in use by process {process.pid} on .* since 20\d\d-.*UTC"):
            await client.bulk.hold(customers, journal=journal).run()
        # Looking at it is allowed.
        assert read_report(journal).items == 10
    assert await process.wait() == 0
    assert (await client.bulk.resume(journal).run()).applied == 10


async def test_a_stopped_process_still_has_it_and_a_killed_one_has_not(fusebill, client, journal, customers):
    with fusebill.hold_open("hold"):
        process = await start_a_job(fusebill, journal)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(ConfigurationError, match="in use by process"):
            await client.bulk.resume(journal).run()
        process.kill()
        await process.wait()
    report = await client.bulk.resume(journal).run()
    assert (report.applied, report.runs) == (10, 2)
    assert fusebill.effects("hold") == 10


async def test_a_job_that_was_taken_over_sends_nothing_more(fusebill, client, journal, customers):
    with fusebill.hold_open("hold"):
        first = asyncio.create_task(client.bulk.hold(customers, journal=journal, concurrency=2).run())
        await held(fusebill, 2)
        taken = Journal(journal, create=False, take_over=True)
        await taken.open()
    with pytest.raises(StoreUnavailableError, match="taken over"):
        await first
    assert fusebill.received("hold") == 2
    await taken.aclose()
    assert (await client.bulk.resume(journal).run()).applied == 10


def effects_of(name):
    process = Process(name, os.getpid(), "")
    return StoreEffects(this_process=lambda: process, is_gone=lambda _: False)


async def test_a_machine_that_was_started_anew_has_no_process_of_before(client, journal, customers):
    await client.bulk.hold(customers, journal=journal).plan()
    before = Journal(journal, create=False, effects=effects_of("boot 1"))
    await before.open()
    await asyncio.to_thread(read_report, journal)
    again = Journal(journal, create=False, effects=effects_of("boot 2"))
    assert await again.open() is not None
    await again.aclose()


async def test_a_journal_in_use_on_another_machine_is_taken_over_only_on_demand(client, journal, customers):
    await client.bulk.hold(customers, journal=journal).plan()
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("INSERT INTO owner VALUES ('t', 'another-machine', 'boot', 7, '', 0)")
    with pytest.raises(ConfigurationError, match=r"process 7 on another-machine since 1970-01-01.*take_over=True"):
        await client.bulk.resume(journal).run()
    assert (await client.bulk.resume(journal, take_over=True).run()).applied == 10


async def test_no_journal(client, journal):
    with pytest.raises(ConfigurationError, match="there is no journal"):
        await client.bulk.resume(journal).run()
    with pytest.raises(ConfigurationError, match="there is no journal"):
        read_report(journal)
    with pytest.raises(ConfigurationError, match="there is no such directory"):
        await client.bulk.hold([1], journal=journal / "below.sqlite").run()


async def test_a_torn_journal(client, journal, customers):
    await client.bulk.hold(range(1, 3000), journal=journal, skip_bad_rows=True).plan()
    whole = journal.read_bytes()
    journal.write_bytes(whole[:5000] + os.urandom(len(whole) - 5000))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await client.bulk.resume(journal).run()
    journal.write_bytes(b"not a database at all, but long enough to look like one" * 100)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_report(journal)


async def test_a_file_of_something_else(client, journal):
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(ConfigurationError, match="another program's database"):
        await client.bulk.hold([1], journal=journal).run()
    journal.unlink()
    journal.write_bytes(b"")
    with pytest.raises(ConfigurationError, match="it is no journal"):
        await client.bulk.resume(journal).run()


async def test_a_journal_of_another_version(client, journal, customers):
    await client.bulk.hold(customers, journal=journal).plan()
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(ConfigurationError, match=r"schema 99, not 2"):
        await client.bulk.resume(journal).run()


async def test_a_journal_of_another_job(fusebill, client, journal, customers):
    await client.bulk.hold(customers, journal=journal).run()
    with pytest.raises(ConfigurationError, match="another job"):
        await client.bulk.unlatch(customers, journal=journal).run()
    with pytest.raises(ConfigurationError, match=r"another input \(10 rows\)"):
        await client.bulk.hold([1, 2], journal=journal).run()
    other = fusebill.base_url.replace("127.0.0.1", "localhost")
    async with FusebillClient("key", base_url=other) as elsewhere:
        with pytest.raises(ConfigurationError, match="of a job at"):
            await elsewhere.bulk.resume(journal).run()
    assert fusebill.effects("unlatch") == 0


async def test_the_same_job_again_does_nothing_twice(fusebill, client, journal, customers):
    for runs in (1, 2):
        report = await client.bulk.hold(customers, journal=journal).run()
        assert (report.applied, report.runs) == (10, runs)
    assert fusebill.received("hold") == 10


async def test_input_that_was_not_read_to_its_end_is_read_anew(fusebill, client, journal, customers):
    def broken():
        yield from customers
        raise OSError("the input broke off")

    with pytest.raises(OSError, match="broke off"):
        await client.bulk.hold(broken(), journal=journal).run()
    with pytest.raises(ConfigurationError, match="not read to its end"):
        await client.bulk.resume(journal).run()
    assert (await client.bulk.hold(customers, journal=journal).run()).applied == 10


async def test_one_job_object_runs_once_at_a_time(fusebill, client, journal, customers):
    job = client.bulk.hold(customers, journal=journal)
    with fusebill.hold_open("hold"):
        task = asyncio.create_task(job.run())
        await held(fusebill, 1)
        with pytest.raises(RuntimeError, match="under way"):
            await job.run()
    await task


async def test_a_journal_that_is_taken_away_stops_the_job(fusebill, client, journal, customers):
    with fusebill.hold_open("hold"):
        task = asyncio.create_task(client.bulk.hold(customers, journal=journal, concurrency=2).run())
        await held(fusebill, 2)
        for path in journal.parent.glob("job.sqlite*"):
            path.rename(path.with_name(f"away{path.name}"))
    with pytest.raises(StoreUnavailableError, match="taken away"):
        await task
    assert fusebill.received("hold") == 2
    for path in journal.parent.glob("awayjob.sqlite*"):
        path.rename(path.with_name(path.name.removeprefix("away")))
    # The process that had it is this one, which lives.
    assert (await client.bulk.resume(journal, take_over=True).run()).applied == 10
    assert fusebill.effects("hold") == 10


async def test_a_full_disk_stops_the_job_and_loses_nothing(fusebill, client, journal, customers, monkeypatch):
    await client.bulk.hold(customers, journal=journal).plan()
    connect = JournalFile.connect

    class Full:
        def __init__(self, connection):
            self._connection = connection

        def execute(self, sql, *values):
            if "INSERT OR REPLACE INTO intents" in sql:
                raise sqlite3.OperationalError("database or disk is full")
            return self._connection.execute(sql, *values)

        def __getattr__(self, name):
            return getattr(self._connection, name)

    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "connect", lambda self: Full(connect(self)))
        with pytest.raises(StoreUnavailableError, match="the journal cannot be written to: database or disk is full"):
            await client.bulk.resume(journal).run()
    assert read_report(journal).unprocessed == 10
    assert "disk is full" in read_report(journal).stopped
    assert fusebill.received("hold") == 0
    assert (await client.bulk.resume(journal).run()).applied == 10


async def test_an_intent_is_on_the_disk_before_its_request(client, journal, customers, monkeypatch):
    submitted = []
    submit = GroupCommit.submit

    def noted(self, work, *, durable=False):
        submitted.append((getattr(work, "func", work).__name__, durable))
        return submit(self, work, durable=durable)

    monkeypatch.setattr(GroupCommit, "submit", noted)
    await client.bulk.hold(customers, journal=journal).run()
    assert submitted.count(("_insert", True)) == 10
    assert ("_insert", False) not in submitted
