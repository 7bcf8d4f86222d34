"""The pictures show what the commands print now, and nothing of the machine on which they were made."""

from __future__ import annotations

import html
import re
import socket
from pathlib import Path

import pytest

from fusebill_async.cli.demo import _THE_CODE
from tests.docs.documents import GUIDES
from tests.docs.pictures import PICTURES, picture

_ANEW = "run `python -m tests.docs.pictures`"


def shown(name: str) -> str:
    """The text in a picture, a line for each of its lines."""
    drawn = (GUIDES / f"{name}.svg").read_text()
    lines: dict[str, str] = {}
    for top, text in re.findall(r'<text class="[^"]*-r\d+"[^>]* y="([\d.]+)"[^>]*>(.*?)</text>', drawn):
        lines[top] = lines.get(top, "") + html.unescape(text).replace("\xa0", " ")
    return "\n".join(line.rstrip() for line in lines.values())


def test_the_demo_is_the_one_of_now():
    text = shown("demo")
    assert [line for line in _THE_CODE.splitlines() if line not in text] == [], _ANEW
    assert "2,000 holds, and 0 customers that were held twice" in text


def test_the_job_is_seen_in_the_middle_and_at_its_end():
    text = shown("bulk")
    assert re.search(r"of 3,000 +[1-9]\d?%", text), _ANEW
    assert text.count(" a second, ") == 1, "one frame of the display"
    assert "customers.hold: 2,985 of 3,000 applied; 15 refused" in text


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_of_the_machine_is_in_it(name: str):
    drawn = (GUIDES / f"{name}.svg").read_text()
    addresses = set(re.findall(r"https?://[^\s\"<)]+", drawn))
    assert addresses <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert not re.search(r"/(tmp|home|root|work|Users|var)\b|127\.0\.0\.1", drawn)
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", drawn)


@pytest.mark.parametrize("name", PICTURES)
def test_it_is_linked(name: str):
    assert f"guides/{name}.svg" in (Path(GUIDES).parents[1] / "README.md").read_text()


def test_a_picture_asks_no_server_for_its_fonts():
    drawn = picture("a command", "\x1b[32mgreen\x1b[0m text")
    assert "@font-face" not in drawn
    assert "green" in drawn
