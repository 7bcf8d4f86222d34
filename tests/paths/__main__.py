"""How far a reader has to go: the files of the package that a call enters, and how often it turns from one to another.

`python -m tests.paths` prints three calls against the simulator; `--list` names the files in the order in which they
are first entered. Each frame is counted once, however often its coroutine is resumed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import fusebill_async
from fusebill_async import FusebillClient, SettlingPolicy
from fusebill_async.testing import Fault, FusebillSimulator

PACKAGE = Path(fusebill_async.__file__).parent
ID = 12000750


@contextmanager
def entered_files() -> Iterator[list[str]]:
    """The file of each frame of the package that is entered while the block lasts, in order."""
    files: list[str] = []
    frames: dict[FrameType, None] = {}

    def look(frame: FrameType, event: str, _argument: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and frame not in frames and PACKAGE in path.parents:
            frames[frame] = None
            files.append(str(path.relative_to(PACKAGE)))

    sys.setprofile(look)
    try:
        yield files
    finally:
        sys.setprofile(None)


def elsewhere(work: Callable[[], Awaitable[Any]], loop: asyncio.AbstractEventLoop) -> Any:
    """Carry out work of the simulator on its own loop, in its own thread: the profile of this one is the client's."""

    async def carry_out() -> Any:
        return await work()

    return asyncio.run_coroutine_threadsafe(carry_out(), loop).result(10)


async def walk(fusebill: FusebillSimulator) -> dict[str, list[str]]:
    """The files of three calls, each made once before so that what is made at the first call does not count."""
    settling = SettlingPolicy(first_read=0.0, quiet_period=0.0)
    walked: dict[str, list[str]] = {}
    async with FusebillClient("key", base_url=fusebill.base_url, settling=settling) as client:
        customers = client.customers
        await customers.hold(ID)
        with entered_files() as walked["hold"]:
            await customers.hold(ID + 1)
        await customers.update(ID, company_name="Grok")
        with entered_files() as walked["update of one field"]:
            await customers.update(ID, company_name="Grok Ltd")
        fusebill.inject(Fault.reset_after_effect(operation="activate", times=2))
        await customers.activate(ID + 2, True, True, False)
        with entered_files() as walked["a lost activate"]:
            await customers.activate(ID + 3, True, True, False)
    return walked


def measure() -> dict[str, list[str]]:
    """The files that each of the calls enters."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    fusebill = FusebillSimulator()
    try:
        elsewhere(fusebill.start, loop)
        for number, status in enumerate(("Active", "Active", "Draft", "Draft")):
            fusebill.add_customer(id=ID + number, status=status)
        walked = asyncio.run(walk(fusebill))
        elsewhere(fusebill.aclose, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
    return walked


def changes(files: list[str]) -> int:
    """How often a reader turns from one file to another."""
    return sum(one != other for one, other in pairwise(files))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.paths", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the files")
    options = parser.parse_args()
    print(f"{'call':<22}{'files':>6}{'changes of file':>18}{'functions':>12}")
    for name, files in measure().items():
        print(f"{name:<22}{len(set(files)):>6}{changes(files):>18}{len(files):>12}")
        if options.list:
            print("".join(f"    {file}\n" for file in dict.fromkeys(files)))


if __name__ == "__main__":
    main()
