"""The mark of a field that nobody set, so that a field set to None can be told from it."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final


class Unset(Enum):
    """The type of `UNSET`. An enum, because its member stays the same object when it is pickled or copied."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final[Any] = Unset.UNSET
"""The default of every field. `Any` to type checkers, so that a field shows the type that it reads as."""
