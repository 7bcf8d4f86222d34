"""The README and the guides, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

import fusebill_async

GUIDES = Path(fusebill_async.__file__).parent / "guides"
README = Path(__file__).parents[2] / "README.md"

_BLOCK = re.compile(r"(?:<!-- run by (?P<runner>[\w/.]+) -->\n)?```python\n(?P<code>.*?)```", re.DOTALL)


@attrs.frozen
class Block:
    """One block of Python in a document.

    Attributes:
        document: the name of the file without its ending.
        number: its place in the document, from 1.
        code: what stands in it.
        runner: the folder or file of tests that runs it, "" for `tests/docs/test_documents.py`. In the document it is
            named by a comment in the line before: `<!-- run by tests/web -->`.
    """

    document: str
    number: int
    code: str
    runner: str = ""

    def __str__(self) -> str:
        return f"{self.document}-{self.number}"


def documents() -> list[Path]:
    """The README, and every guide."""
    return [README, *sorted(GUIDES.glob("*.md"))]


def blocks(*, runner: str = "") -> list[Block]:
    """Every block of Python that one place of the tests runs."""
    return [
        Block(path.stem, number, found["code"], found["runner"] or "")
        for path in documents()
        for number, found in enumerate(_BLOCK.finditer(path.read_text()), 1)
        if (found["runner"] or "") == runner
    ]
