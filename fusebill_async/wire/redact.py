"""Keeping the API key out of every text."""

from __future__ import annotations

HIDDEN = "***"


def redact(text: str, key: str) -> str:
    """The text with the key blotted out."""
    return text.replace(key, HIDDEN)


def redact_bytes(body: bytes, key: str) -> bytes:
    """The bytes with the key blotted out: a service may echo what it was sent."""
    return body.replace(key.encode(), HIDDEN.encode())
