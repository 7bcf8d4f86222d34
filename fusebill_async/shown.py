"""How a value that was given is shown in the text of an error."""

from __future__ import annotations

_LONGEST = 200


def shown(value: object) -> str:
    """The value's `repr`, cut where it is long.

    It never raises, as `repr` does for an integer of more than 4,300 digits and for some objects of a user.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 (an error about an argument must not become another one)
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
