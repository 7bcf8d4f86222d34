"""How settings and facts compare and show themselves, written once for all of them.

attrs would write both for each class anew and compile them: that was a tenth of what importing the package cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs


class Record:
    """The base of frozen attrs classes that a user sees; `attrs.field(eq=False)` and `repr=False` count here too."""

    __slots__ = ()

    if TYPE_CHECKING:
        __attrs_attrs__: ClassVar[tuple[attrs.Attribute[Any], ...]]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash((type(self), _compared(self)))

    def __repr__(self) -> str:
        shown = [f"{field.name}={getattr(self, field.name)!r}" for field in self.__attrs_attrs__ if field.repr]
        return f"{type(self).__name__}({', '.join(shown)})"


def _compared(record: Record) -> tuple[Any, ...]:
    return tuple(getattr(record, field.name) for field in record.__attrs_attrs__ if field.eq)
