"""Pictures of the guides, made from what the commands print at a terminal: `python -m tests.docs.pictures`."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from fusebill_async.testing import FusebillSimulator, SimulatorQuota
from tests.cli.terminals import at_a_terminal
from tests.docs.documents import GUIDES

PICTURES = ("demo", "bulk")
"""Their names; each is an SVG file beside the guides."""

COLUMNS = 100
_JOURNAL = "hold.sqlite"
_COMMAND = ("bulk", "run", "hold", "customers.csv", "--journal", _JOURNAL, "--yes")
_CUSTOMERS = 3_000

# rich's format loads its fonts from a server of others. A reader's own fixed font does as well.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
_NEXT_FRAME = re.compile(r"\r(?:\x1b\[2K)?(?:\x1b\[1A\x1b\[2K)+")
_OF_THE_CURSOR = re.compile(r"\x1b\[\?25[lh]")


def picture(command: str, printed: str) -> str:
    """A command and what it printed, as an SVG.

    Args:
        command: as a person types it.
        printed: with the escapes of its colours.
    """
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {command}\n", style="bold"), Text.from_ansi(printed), sep="\n", highlight=False)
    return console.export_svg(title=command, code_format=_FORMAT, unique_id="shown")


async def demo() -> str:
    """The demo, as it is printed."""
    with tempfile.TemporaryDirectory() as folder:
        seen = await at_a_terminal(partial(_start, Path(folder)), "demo", columns=COLUMNS)
    assert seen.code == 0, seen.text
    return picture("fusebill-async demo", _lines(seen.raw))


async def bulk() -> str:
    """A job: its display in the middle, and what it ends with."""
    async with FusebillSimulator(quota=SimulatorQuota(per_minute=100_000, per_day=180_000)) as service:
        # Some are refused: only an active customer can be held.
        ids = [service.add_customer(status="Active" if n % 200 else "Draft") for n in range(1, _CUSTOMERS + 1)]
        service.latency = 0.05
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "customers.csv").write_text("\n".join(["id", *map(str, ids)]))
            start = partial(_start, Path(folder))
            seen = await at_a_terminal(start, *_COMMAND, columns=COLUMNS, FUSEBILL_BASE_URL=service.base_url)
    assert seen.code == 1, seen.text  # some were refused
    shown = _frames(_lines(seen.raw))
    return picture(f"fusebill-async {' '.join(_COMMAND)}", shown)


def _lines(raw: str) -> str:
    return _OF_THE_CURSOR.sub("", raw).replace("\r\n", "\n")


def _frames(printed: str) -> str:
    """The frame in the middle of a display that was drawn over and over, with what stands before and after it."""
    frames = _NEXT_FRAME.split(printed)
    # The last part is what is printed when the display is gone.
    return f"{frames[len(frames) // 2].strip()}\n\n{frames[-1].strip()}"


async def _start(folder: Path, *words: str, **given: Any) -> asyncio.subprocess.Process:
    streams = {name: given.pop(name) for name in ("stdin", "stdout", "stderr", "preexec_fn")}
    asked = {**os.environ, "PYTHONPATH": str(GUIDES.parents[1]), "FUSEBILL_API_KEY": "key", **given}
    environment = {name: value for name, value in asked.items() if value is not None}
    program = (sys.executable, "-m", "fusebill_async", *words)
    return await asyncio.create_subprocess_exec(*program, cwd=folder, env=environment, **streams)


async def write(folder: Path = GUIDES) -> None:
    """Make every picture anew."""
    for name, make in (("demo", demo), ("bulk", bulk)):
        (folder / f"{name}.svg").write_text(await make())


if __name__ == "__main__":
    asyncio.run(write())
