"""The asyncio client for Fusebill (Stax Bill): every call ends in a true outcome, and nothing happens twice."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fusebill_async._version import __version__ as __version__

if TYPE_CHECKING:
    from fusebill_async.public import *  # noqa: F403 (`public` says what they are)
    from fusebill_async.public import __all__ as __all__


# pytest imports this package in every test run of its environment, for the plugin, which is to cost nothing.
def __getattr__(name: str) -> Any:
    if name == "__all__" or not name.startswith("_"):
        public = import_module("fusebill_async.public")
        if name == "__all__" or name in public.__all__:
            value = globals()[name] = getattr(public, name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module("fusebill_async.public").__all__})
