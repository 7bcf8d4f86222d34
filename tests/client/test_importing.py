"""`import fusebill_async` does no work and imports no extra."""

from __future__ import annotations

import subprocess
import sys

import fusebill_async

EXTRAS = ["redis", "cyclopts", "rich", "pytest", "hypothesis", "aioresponses", "opentelemetry", "sqlite3"]


def test_import_brings_no_extra_and_starts_nothing():
    script = (
        "import sys, threading, asyncio; import fusebill_async;"
        f"print([name for name in {EXTRAS!r} if name in sys.modules], threading.active_count())"
    )
    shown = subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[] 1"


def test_exported_names_are_there_and_sorted():
    names = fusebill_async.__all__
    assert sorted(set(names)) == sorted(names)
    for name in names:
        assert getattr(fusebill_async, name) is not None
