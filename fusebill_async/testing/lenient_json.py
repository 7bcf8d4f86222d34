"""JSON as the service's parser takes it: the samples of the API pages have unquoted keys and single quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<mark>[{}\[\]:,])|(?P<double>"(?:[^"\\]|\\.)*")|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s{}\[\]:,"']+))""",
    re.DOTALL,
)
_QUOTE: Final = re.compile(r'\\.|"', re.DOTALL)


def strict(text: str) -> str:
    """Write a lenient text as JSON has it. What is no JSON in either way is given back as something that is none."""
    given = [*_parts(text.strip())]
    parts: list[str] = []
    for part, following in zip(given, [*given[1:], ""], strict=True):
        if part == "," and following in {"}", "]"}:
            continue
        is_bare_key = following == ":" and part[0] not in '"{}[]:,'
        parts.append(f'"{part}"' if is_bare_key else part)
    return " ".join(parts)


def _parts(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            yield text[place:]
            return
        single = found["single"]
        yield found["mark"] or found["double"] or found["bare"] or f'"{_QUOTE.sub(_requoted, single)}"'
        place = found.end()


def _requoted(found: re.Match[str]) -> str:
    """An escape as it is, but for a quote that needs none; a double quote with the escape that it needs now."""
    return {'"': '\\"', "\\'": "'"}.get(found[0], found[0])
