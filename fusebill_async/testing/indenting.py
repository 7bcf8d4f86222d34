"""JSON with indentation, in which every literal stays as it was."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_INDENT: Final = b"  "


def indented(text: bytes) -> bytes:
    """Return valid JSON with a line for each item. msgspec would refuse half a surrogate pair."""
    parts: list[bytes] = []
    depth = 0
    before = b""
    for token in _TOKEN.findall(text):
        if token in b"}]":
            depth -= 1
            # An empty object stays on its line.
            parts.append(token if before in {b"{", b"["} else b"\n" + _INDENT * depth + token)
        else:
            if before in {b"{", b"["}:
                parts.append(b"\n" + _INDENT * depth)
            parts.append(token)
            if token == b",":
                parts.append(b"\n" + _INDENT * depth)
            elif token == b":":
                parts.append(b" ")
            depth += token in {b"{", b"["}
        before = token
    return b"".join(parts)
