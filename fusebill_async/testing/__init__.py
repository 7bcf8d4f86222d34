"""A simulator of the service, for our tests and for those of our users.

```python
async with FusebillSimulator() as fusebill:
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
```

`run_simulated(main, seed=7)` runs such a test in virtual time over a network in memory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusebill_async.testing.public import *  # noqa: F403 (`public` says what they are)
    from fusebill_async.testing.public import __all__ as __all__


# The plugin for pytest is found in this folder, and is to cost nothing to a test run that does not use it.
def __getattr__(name: str) -> Any:
    if name == "__all__" or not name.startswith("_"):
        public = import_module("fusebill_async.testing.public")
        if name == "__all__" or name in public.__all__:
            value = globals()[name] = getattr(public, name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module("fusebill_async.testing.public").__all__})
