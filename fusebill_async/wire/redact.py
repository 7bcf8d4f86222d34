"""Keeping the API key out of every text."""

from __future__ import annotations

from typing import SupportsIndex

HIDDEN = "***"


class HiddenText(str):  # noqa: SLOT000 (few are made, and `kind` has a default)
    """A text whose `repr` does not show it: what reports errors with their local variables shows those by `repr`.

    `str()`, f-strings and what is sent have the text itself. A part of it is hidden too, since long values are cut
    before they are shown; and so is a copy, or what was pickled.

    Attributes:
        kind: the type of what was given in its place, where that was no text.
    """

    kind: type = str

    @classmethod
    def of(cls, given: object) -> HiddenText:
        """Hide a text. Of anything else only its type is kept."""
        if isinstance(given, str):
            return cls(given)
        none = cls()
        none.kind = type(given)
        return none

    def __repr__(self) -> str:
        return repr(HIDDEN)

    def __getitem__(self, part: SupportsIndex | slice) -> HiddenText:
        return HiddenText(super().__getitem__(part))


def redact(text: str, key: str) -> str:
    """The text with the key replaced by `***`."""
    return text.replace(key, HIDDEN)


def redact_bytes(body: bytes, key: str) -> bytes:
    """The bytes with the key replaced by `***`, since a service may echo what it was sent."""
    return body.replace(key.encode(), HIDDEN.encode())
