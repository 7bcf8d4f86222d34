"""`request` and `quota`: any endpoint, and what is left of the account's calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import attrs
from cyclopts import Parameter as Option
from rich.console import Console
from rich.text import Text

from fusebill_async.cli.acting import act
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.input import read_input
from fusebill_async.cli.options import COMMON, WRITING, Common, Writing
from fusebill_async.cli.performing import perform
from fusebill_async.cli.results import Result
from fusebill_async.cli.terminal import messages, write_json
from fusebill_async.cli.wire_text import printable
from fusebill_async.client import FusebillClient, Verbs
from fusebill_async.converting import BYTE_ORDER_MARK, UnreadableAnswer, decode_json, encode
from fusebill_async.errors import ValidationError
from fusebill_async.operations import LIST, Operation, Safety
from fusebill_async.outcome import Window
from fusebill_async.policy.quota import QuotaView

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


@attrs.frozen
class Answered(Result):
    """What an endpoint answered."""

    title: str
    status: int
    value: Any
    writes: bool
    file: Path | None

    @property
    def happened(self) -> str:
        """The status, of a request that may have changed something."""
        return f"{self.title} was answered with {self.status}" if self.writes else ""

    def as_json(self) -> bytes:
        """The value as JSON; of what went to a file, or is neither JSON nor text, its length."""
        if isinstance(self.value, bytes):
            return encode({"status": self.status, "bytes": self._saved()})
        return encode(self.value)

    def print_on(self, console: Console) -> None:
        """JSON, text or bytes, as they came, to the file or to stdout."""
        if self.file is not None:
            messages().print(Text(f"{self._saved()} bytes in {self.file}"), style="dim")
        elif isinstance(self.value, bytes):
            if console.is_terminal:
                messages().print("The answer is neither JSON nor text: give --output FILE, or a pipe.", style="dim")
                return
            sys.stdout.flush()
            sys.stdout.buffer.write(self.value)
        elif isinstance(self.value, str):
            text = self.value
            console.file.write((printable(text) if console.is_terminal else text) + "\n")
        elif self.value is None:
            messages().print(Text(f"answered with {self.status}, and nothing in it"), style="dim")
        else:
            write_json(encode(self.value))

    def _saved(self) -> int:
        content = self.value if isinstance(self.value, bytes) else encode(self.value)
        if self.file is not None:
            self.file.write_bytes(content)
        return len(content)


async def request(
    method: Annotated[str, Option(help="Such as GET, POST, PUT, PATCH or DELETE.")],
    path: Annotated[str, Option(help="Under the base URL, such as /customers/1/subscriptions.")],
    /,
    *,
    query: Annotated[
        tuple[str, ...],
        Option(name=("--query", "-q"), negative="", show_default=False, help="NAME=VALUE. Repeat it for more."),
    ] = (),
    body: Annotated[
        str | None, Option(allow_leading_hyphen=True, show_default=False, help="A file with JSON; - is stdin.")
    ] = None,
    output: Annotated[
        Path | None, Option(show_default=False, help="A file for the answer, such as a PDF; it is written over.")
    ] = None,
    common: Writing = WRITING,
) -> ExitCode:
    """Send a request to any endpoint, under the same policy.

    GET, HEAD and OPTIONS may be sent again. Any other may move money: it is sent once, and what no answer tells stays
    unknown.
    """
    verb = method.upper()
    safety = Safety.READ if verb in _READS else Safety.MONEY
    operation = Operation(name="request", resource="client", method=verb, path=path, safety=safety, answer="any")

    async def work(client: FusebillClient) -> Result:
        # Whatever can be refused is, before anything is sent.
        sent = None if body is None else _read_body(body)
        named = _read_query(query)
        if output is not None:
            _check_file(output)
        if common.dry_run and not operation.writes:
            raise ValidationError(f"{verb} changes nothing: --dry-run is for what writes", field="dry_run")

        async def send(verbs: Verbs) -> Result:
            response = await verbs.with_response.request(
                method, path, query=named, body=sent, idempotency_key=common.idempotency_key
            )
            title = f"{verb} {path}"
            return Answered(title, response.status or 0, response.value, operation.writes, output)

        return await act(client, common, send)

    return await perform(operation, work, common)


def _read_body(file: str) -> Any:
    text = read_input(file, "body")
    try:
        return decode_json(text.removeprefix(BYTE_ORDER_MARK))
    except UnreadableAnswer as error:
        raise ValidationError(f"{file} holds no JSON: {error.reason}", field="body") from None


def _read_query(given: tuple[str, ...]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ValidationError(f"{text!r} is no name=value", field="query")
        if name in named:
            raise ValidationError(f"{name} is there twice", field="query")
        named[name] = value
    return named


def _check_file(file: Path) -> None:
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        raise ValidationError(f"{file} cannot be written: {error.strerror}", field="output") from None


@attrs.frozen
class QuotaLeft(Result):
    """What the service told of the account's quota."""

    view: QuotaView

    @property
    def exit_code(self) -> ExitCode:
        """Whether it told anything."""
        return ExitCode.NOT_DONE if self.view.minute is None and self.view.day is None else ExitCode.DONE

    def as_json(self) -> bytes:
        """Both windows; null for one that the service does not tell."""
        return encode({"minute": _window_object(self.view.minute), "day": _window_object(self.view.day)})

    def print_on(self, console: Console) -> None:
        """A line each."""
        for name, window in (("minute", self.view.minute), ("day", self.view.day)):
            if window is None:
                console.print(f"this {name}: the service does not tell")
            else:
                ends = "" if window.resets_at is None else f", until {window.resets_at:%Y-%m-%d %H:%M:%S} UTC"
                console.print(f"this {name}: {window.remaining} of {window.limit} calls left{ends}", soft_wrap=True)


async def quota(*, common: Common = COMMON) -> ExitCode:
    """Show what is left of the account's calls. It costs one call."""

    async def work(client: FusebillClient) -> Result:
        await client.request("GET", "/customers", query={"pageSize": 1})
        return QuotaLeft(client.quota)

    return await perform(LIST, work, common)


def _window_object(window: Window | None) -> dict[str, Any] | None:
    return None if window is None else attrs.asdict(window)
