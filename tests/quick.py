"""What `pytest -m quick` runs: a file or more of tests for each promise, all of them in less than a minute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

QUICK: Mapping[str, tuple[str, ...]] = {
    "every call ends in a true outcome": (
        "outcomes/test_evidence.py",
        "outcomes/test_safeguards.py",
        "outcomes/test_sending_again.py",
        "transport/test_hand_out.py",
        "simulated/test_run_simulated.py",
    ),
    "an update loses nothing": ("updating/test_guard.py", "updating/test_plan.py"),
    "one key is one effect": ("keys/test_key_records.py",),
    "the quota is used fully": ("quota/test_admission.py", "quota/test_quota_headers.py"),
    "a process can die at any instant": ("stores/test_store_records.py",),
    "it costs no more than aiohttp": ("cost/test_cost.py",),
    "it is at home in its users' programs": (
        "cli/test_cli_table.py",
        "client/test_accounts.py",
        "client/test_download.py",
        "client/test_errors.py",
        "kit/test_server.py",
        "typing/test_fields.py",
    ),
}
"""Files under `tests`, by the promise that they check."""

_HERE = Path(__file__).parent
FILES = frozenset(_HERE / name for names in QUICK.values() for name in names)


def is_quick(path: Path) -> bool:
    """Whether a file of tests is one of them."""
    return path in FILES
