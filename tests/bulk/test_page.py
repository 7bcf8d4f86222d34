"""The page for the morning after: what it says, how long it takes, and that a browser shows it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from html.parser import HTMLParser

import pytest

from fusebill_async import ConfigurationError, FusebillClient, bulk
from fusebill_async.bulk import read_report, write_page
from fusebill_async.bulk.page import page_of
from fusebill_async.testing import Fault, FusebillSimulator, SimulatorQuota, run_simulated
from tests.bulk.browser import run_chromium
from tests.bulk.long_nights import ITEMS, write_night
from tests.bulk.worlds import LONG_AGO

_VOID = {"meta", "link", "br", "rect", "line", "path", "circle"}


class Checker(HTMLParser):
    """Sees whether every element is closed in its order, and collects the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def checked(page: str) -> str:
    """The text of a page that is whole."""
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    assert "script" not in checker.tags
    return " ".join("".join(checker.texts).split())


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A journal of 100,000 items."""
    return write_night(tmp_path_factory.mktemp("night") / "night.sqlite")


def test_a_hundred_thousand_items_are_fast_and_small(night, tmp_path):
    assert night.stat().st_size < 15_000_000
    file, began = tmp_path / "night.html", time.process_time()
    write_page(night, file)
    assert time.process_time() - began < 5
    assert file.stat().st_size < 2_000_000
    text = checked(file.read_text())
    assert text.startswith("customers.hold: night.sqlite")
    assert "99,874 of 100,000 on hold; 112 refused; 14 not known; nothing twice" in text
    assert "9f86d081884c7d659a2feaa0c55ad015" in text
    assert "batch-1, process 4711" in text
    assert "killed" in text
    assert "22:00-06:00" in text


async def test_chromium_shows_a_hundred_thousand_items(night, tmp_path):
    page = tmp_path / "night.html"
    write_page(night, page)
    dom = await run_chromium(page, tmp_path / "profile", "--dump-dom")
    heading = re.search(r"<h1>(.*?)</h1>", dom)
    assert heading is not None
    assert heading[1] == "99,874 of 100,000 on hold; 112 refused; 14 not known; nothing twice"
    groups = re.findall(r'<article class="(\w+)">\s*<h3>([\d,]+) ', dom)
    assert sum(int(count) for kind, count in groups if kind == "rejected") == 112
    assert [count for kind, count in groups if kind == "unknown"] == ["14"]
    assert len(groups) == 4
    # It is a chart: with bars, the quota and what befell the job.
    chart = re.search(r'<svg class="timeline".*?</svg>', dom, re.DOTALL)
    assert chart is not None
    for kind in ("applied", "quota", "paused", "away", "kill", "resume", "refused"):
        assert f'class="{kind}"' in chart[0], kind
    bars = re.search(r'class="applied" d="([^"]+)"', chart[0])
    assert bars is not None
    assert bars[1].count("z") > 80
    # What the service said is text, and runs nowhere.
    assert "<title>broken</title>" not in dom
    assert "&lt;script&gt;" in dom


async def test_chromium_shows_three_items(fusebill, client, journal, customers, tmp_path):
    fusebill.change(3, status="Cancelled")
    report = await client.bulk.hold([1, 2, 3], journal=journal).run()
    page = tmp_path / "page.html"
    report.html(page)
    checked(page.read_text())
    dom = await run_chromium(page, tmp_path / "profile", "--dump-dom")
    assert "<h1>2 of 3 on hold; 1 refused; nothing twice</h1>" in dom
    assert "customers 3<" in dom
    assert f"--journal {journal} --retry rejected --message" in dom


async def test_the_command_of_a_group_tries_it_again(fusebill, client, journal, customers):
    fusebill.change(3, status="Cancelled")
    await client.bulk.hold([1, 2, 3, 4000], journal=journal).run()
    text = page_of(journal)
    message = re.search(r"--retry rejected --message &#x27;(400: This activity[^&]*)&#x27;", text)
    assert message is not None
    fusebill.change(3, status="Active")
    fusebill.add_customer(id=4000, status="Active")
    await client.bulk.resume(journal, retry="rejected", message=message[1]).run()
    assert fusebill.effects("hold", 3) == 1
    assert fusebill.effects("hold", 4000) == 0


def test_what_befell_a_job_is_on_its_page(journal):
    """A real job in virtual time: it is refused for the quota, paused, goes on and is stopped."""

    async def main():
        async with FusebillSimulator(quota=SimulatorQuota(per_minute=120, per_day=100_000), latency=0.05) as fusebill:
            for each in range(1, 1001):
                fusebill.add_customer(id=each, status="Active", modifiedTimestamp=LONG_AGO)
            fusebill.inject(Fault.status(429, operation="hold", times=3))
            async with FusebillClient("key", base_url=fusebill.base_url) as client:
                running = asyncio.create_task(client.bulk.hold(range(1, 1001), journal=journal).run())
                await asyncio.sleep(100)
                bulk.pause(journal)
                await asyncio.sleep(60)
                bulk.go(journal)
                await asyncio.sleep(60)
                bulk.stop(journal)
                await running
            return fusebill.effects("hold")

    done = run_simulated(main)
    text = checked(page_of(journal))
    assert f"{done:,} of 1,000 on hold; {1000 - done:,} not begun; nothing twice" in text
    assert "quota: 120 calls a minute" in text
    assert "3 answered with 429" in text
    assert re.search(r"paused: paused by \w+ on ", text)
    assert "it was stopped by " in text
    assert f"bulk resume --journal {journal}" in text
    with sqlite3.connect(journal) as connection:
        (paused,), (went_on,) = connection.execute(
            "SELECT at FROM events WHERE kind IN ('paused', 'went_on')"
        ).fetchall()
    assert 58 < went_on - paused < 62


async def test_a_job_that_has_not_run_has_a_page(client, journal, customers):
    await client.bulk.hold(customers, journal=journal).plan()
    text = checked(page_of(journal))
    assert "0 of 10 on hold; 10 not begun; nothing twice" in text
    assert "It has not run yet." in text


async def test_a_wiped_job_has_a_page(client, journal, customers):
    job = client.bulk.hold([*customers, 99], journal=journal)
    await job.run()
    await job.wipe()
    text = checked(page_of(journal))
    assert "10 of 11 on hold; 1 refused; nothing twice" in text
    assert "what was asked for and what was read is gone" in text


async def test_no_journal_no_page(tmp_path, client, journal, customers):
    with pytest.raises(ConfigurationError, match="there is no journal"):
        write_page(tmp_path / "nothing.sqlite", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    await client.bulk.hold(customers, journal=journal).run()
    with pytest.raises(OSError, match="No such file"):
        read_report(journal).html(tmp_path / "nowhere" / "page.html")


def test_the_night_is_as_large_as_it_says(night):
    assert read_report(night).items == ITEMS
