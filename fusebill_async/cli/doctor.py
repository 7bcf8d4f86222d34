"""`doctor`: what is configured and from where, and whether the service can be reached with it."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from urllib.parse import urlsplit
from urllib.request import getproxies

import attrs
from rich.console import Console
from rich.text import Text

from fusebill_async._version import __version__
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import KEPT, Kept
from fusebill_async.cli.performing import perform
from fusebill_async.cli.results import Result
from fusebill_async.cli.wire_text import printable
from fusebill_async.client import PRODUCTION, FusebillClient
from fusebill_async.converting import encode
from fusebill_async.errors import FusebillError
from fusebill_async.settling.response import Response

_SKEW = 5.0
"""Seconds that two clocks may be apart before it is told: `Date` is whole seconds, and an answer takes its time."""


@attrs.frozen
class Check:
    """One thing that was looked at; `fine` is None where there is nothing to be judged."""

    name: str
    fine: bool | None
    text: str


@attrs.frozen
class Findings(Result):
    """All that was looked at."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Whether nothing is wrong."""
        return ExitCode.NOT_DONE if any(check.fine is False for check in self.checks) else ExitCode.DONE

    def as_json(self) -> bytes:
        """An array."""
        return encode([attrs.asdict(check) for check in self.checks])

    def print_on(self, console: Console) -> None:
        """A line each."""
        marks = {True: ("ok   ", "green"), False: ("wrong", "bold red"), None: ("     ", "")}
        for check in self.checks:
            mark = marks[check.fine]
            console.print(Text.assemble(mark, f"  {check.name:<8}  ", printable(check.text)), soft_wrap=True)


async def doctor(*, common: Kept = KEPT) -> ExitCode:
    """Show what is configured, and try it with one read. Never shows the key."""

    async def work(client: FusebillClient) -> Result:
        store = common.kept_in
        address = os.environ.get("FUSEBILL_BASE_URL") or PRODUCTION
        told = await _read(client)
        checks = [
            Check("versions", None, f"fusebill-async {__version__}, aiohttp {version('aiohttp')}, "
                                    f"Python {platform.python_version()}"),
            Check("key", True, "from FUSEBILL_API_KEY"),
            Check("base URL", None, f"{address}, " + ("from FUSEBILL_BASE_URL" if "FUSEBILL_BASE_URL" in os.environ
                                                      else "the default")),
            Check("store", None, "none: what stays unknown is kept nowhere" if store is None else str(store)),
            Check("proxy", None, _proxies()),
            await _look_up(urlsplit(address).hostname or ""),
        ]  # fmt: skip
        if isinstance(told, FusebillError):
            return Findings((*checks, Check("read", False, told.message)))
        minute, day = client.quota.minute, client.quota.day
        left = "the service does not tell"
        if minute is not None and day is not None:
            left = f"{minute.remaining} of {minute.limit} this minute, {day.remaining} of {day.limit} this day"
        return Findings(
            (*checks, Check("read", True, "a list of one customer"), Check("quota", None, left), _skew(told))
        )

    return await perform(None, work, common)


async def _read(client: FusebillClient) -> Response[object] | FusebillError:
    try:
        return await client.with_response.request("GET", "/customers", query={"pageSize": 1})
    except FusebillError as error:
        return error


async def _look_up(host: str) -> Check:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return Check("DNS", False, f"{host}: {error.strerror or error}")
    return Check("DNS", True, f"{host} is {', '.join(dict.fromkeys(str(address[4][0]) for address in found))}")


def _proxies() -> str:
    named = sorted({name for name in getproxies() if name != "no"})
    # An address of a proxy may hold a password.
    return f"the environment names one for {', '.join(named)}" if named else "the environment names none"


def _skew(answer: Response[object]) -> Check:
    text = next((value for name, value in answer.headers.items() if name.lower() == "date"), "")
    try:
        told = parsedate_to_datetime(text)
    except ValueError:
        return Check("clock", None, "the service does not tell the time")
    apart = (told - datetime.now(UTC)).total_seconds()
    return Check("clock", abs(apart) < _SKEW, f"the service's Date is {apart:+.0f} s from this computer's time")
