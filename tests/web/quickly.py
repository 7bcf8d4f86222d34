"""Runs a program with a client that settles in no time to speak of: `python -m tests.web.quickly uvicorn app:app`.

The minute that a quiet period takes, and the half that closing may wait for, is what a test cannot wait for.
"""

from __future__ import annotations

import runpy
import sys
from functools import partial

from fusebill_async import FusebillClient, SettlingPolicy

QUICK = SettlingPolicy(first_read=0.02, quiet_period=0.2, retry_delay=0.02, close_wait=2.0)


def main() -> None:
    FusebillClient.from_env = partial(FusebillClient.from_env, settling=QUICK)  # type: ignore[method-assign]
    del sys.argv[0]
    # What is started lies in the working directory.
    sys.path.insert(0, "")
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
