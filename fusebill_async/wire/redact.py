"""Keeping the API key out of every text."""

from __future__ import annotations

HIDDEN = "***"


def redact(text: str, key: str) -> str:
    """The text with the key blotted out."""
    return text.replace(key, HIDDEN)
