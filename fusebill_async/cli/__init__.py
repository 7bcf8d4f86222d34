"""The command line, `fusebill-async`. Its libraries come with the extra `cli` and are imported when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_LIBRARIES = frozenset({"cyclopts", "rich"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; those of the process by default.

    Returns:
        The exit code: see `fusebill_async.cli.exit_code`.
    """
    try:
        from fusebill_async.cli.app import run  # noqa: PLC0415 (the extra may not be installed)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        sys.stderr.write(
            f"fusebill-async needs {error.name}, which is not installed: pip install 'fusebill-async[cli]'\n"
        )
        return 2
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        # Before anything was begun, or after all was told.
        return 130
