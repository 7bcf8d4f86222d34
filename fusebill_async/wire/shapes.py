"""What a value is, told so that a type checker believes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, Mapping)


def is_array(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a JSON array."""
    return isinstance(value, (list, tuple))


def is_several(value: Any) -> TypeGuard[Iterable[Any]]:
    """Whether it gives several values: no text, no bytes and no object."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping))
