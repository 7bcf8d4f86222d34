"""`pytest -m quick` runs what it says: no file of it is missing, and each promise has one that holds tests."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.docs.documents import README
from tests.quick import FILES, QUICK

ROOT = README.parent


def test_every_file_of_the_quick_selection_is_run():
    command = [sys.executable, "-m", "pytest", "-m", "quick", "--collect-only", "-q", "-p", "no:cacheprovider"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = {ROOT / name for name in re.findall(r"^(\S+?\.py)::", shown, re.MULTILINE)}
    assert found == set(FILES), shown
    assert all(QUICK.values())
