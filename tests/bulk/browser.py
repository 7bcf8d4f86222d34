"""A headless Chromium, as a process."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_REQUIRED = "FUSEBILL_TESTS_REQUIRE_CHROMIUM"
"""Set where a missing browser is a failure."""


def chromium() -> str:
    """The browser; the test is skipped where there is none, unless that is required."""
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    if _REQUIRED in os.environ:
        pytest.fail("no Chromium is installed")
    pytest.skip("no Chromium is installed (apt-get install chromium)")


async def run_chromium(page: Path, profile: Path, *options: str) -> str:
    """Open a page, and give what the browser prints.

    Args:
        page: the file.
        profile: a folder for what the browser keeps.
        options: of the browser, such as `--dump-dom`.
    """
    process = await asyncio.create_subprocess_exec(
        chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        f"--user-data-dir={profile}", *options, page.as_uri(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(50):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return out.decode()
