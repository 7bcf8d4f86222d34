"""How each fault is played on the socket: a script is a run of steps."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache
from typing import Protocol, TypeAlias, cast

from fusebill_async.testing.faults import Cut, Fault
from fusebill_async.testing.messages import HTML, Reply, Request, render, render_head
from fusebill_async.testing.refusals import API_ERROR, api_error


class End(Enum):
    """How a connection ends."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


Step: TypeAlias = bytes | float | End
"""Bytes are sent, a float is a wait in seconds, an `End` is the last step."""

Script: TypeAlias = Iterator[Step]


class Exchange(Protocol):
    """One request and what can be done with it; the server implements it."""

    @property
    def request(self) -> Request:
        """The request."""
        ...

    @property
    def reads(self) -> bool:
        """Whether it has no effect anyway."""
        ...

    def perform(self) -> Reply:
        """Let it have its effect, and return the right answer."""
        ...

    def perform_later(self, seconds: float) -> None:
        """Let it have its effect later."""
        ...

    def behind(self, seconds: float) -> Reply:
        """Return what a replica answers that is some seconds behind."""
        ...

    def refusal(self) -> Reply | None:
        """Return the refusal that it would meet now, None if it would be carried out."""
        ...

    def present(self, customer_id: int | None = None) -> Reply:
        """Return what a read of a customer would answer now."""
        ...

    def standing(self, *, quota: bool = True) -> bytes:
        """Return the header lines that every answer carries."""
        ...


# A pause between the last bytes and RST, so that the other side reads what came before the reset.
_BREATH = 0.02

_PAGE = b"<!DOCTYPE html><html><head><title>Fusebill</title></head><body><h1>Be right back</h1></body></html>"

_GARBAGE_QUOTA = (
    b"X-Rate-Limit-Limit-Minute: many\r\nX-Rate-Limit-Remaining-Minute: -\r\n"
    b"X-Rate-Limit-Reset-Minute: soon\r\nX-Rate-Limit-Limit-Day: \r\n"
    b"X-Rate-Limit-Remaining-Day: 1e999\r\nX-Rate-Limit-Reset-Day: 0001-99-99T99:99\r\n"
)


def _settle_effect(fault: Fault, exchange: Exchange) -> Reply:
    """Let the effect happen now, later or never, and return the answer to begin with."""
    if fault.effect == "before" or exchange.reads:
        return exchange.perform()
    refusal = exchange.refusal()
    if refusal is not None:
        # A service that has lost its way still refuses what its own state forbids.
        return refusal
    if fault.effect == "late":
        exchange.perform_later(fault.late_by)
    return exchange.present()


def _end(name: Cut | str) -> End:
    return End(name)


def _cut_off(fault: Fault, exchange: Exchange) -> Script:
    """{reset,close,hang}_{before,after}_effect."""
    _settle_effect(fault, exchange)
    yield _end(fault.kind.partition("_")[0])


def _late_effect(fault: Fault, exchange: Exchange) -> Script:
    exchange.perform_later(fault["delay"])
    if fault["then"] == "status":
        yield render(_error(fault["code"]), exchange.standing())
    else:
        yield _end(fault["then"])


def _in_the_middle(fault: Fault, exchange: Exchange) -> Script:
    """{reset,close}_in_{headers,body}."""
    end = _end(fault.kind.partition("_")[0])
    if fault["of"] == "request":
        yield end
        return
    reply = _settle_effect(fault, exchange)
    head = render_head(reply, exchange.standing())
    yield (head[: len(head) // 2] if fault.kind.endswith("headers") else head + reply.body[: len(reply.body) // 2])
    yield _BREATH
    yield end


def _error(code: int, body: bytes | str | None = None, headers: bytes = b"") -> Reply:
    if body is None:
        return api_error(code, (API_ERROR, f"Simulated {code}."), headers=headers)
    return Reply(code, body.encode() if isinstance(body, str) else body, headers)


def _status(fault: Fault, exchange: Exchange) -> Script:
    _settle_effect(fault, exchange)
    headers = dict(fault["headers"])
    if fault["retry_after"] is not None:
        headers["Retry-After"] = str(fault["retry_after"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    standing = exchange.standing(quota=fault["quota_headers"] == "with")
    if fault["quota_headers"] == "garbage":
        standing += _GARBAGE_QUOTA
    yield render(_error(fault["code"], fault["body"], lines), standing)


def _redirect(fault: Fault, exchange: Exchange) -> Script:
    _settle_effect(fault, exchange)
    target = exchange.request.target if fault["to"] is None else fault["to"]
    yield render(Reply(fault["code"], b"", f"Location: {target}\r\n".encode()), exchange.standing())


def _substitute(make: Callable[[Fault, Exchange, Reply], Reply]) -> Callable[[Fault, Exchange], Script]:
    """Make a script that sends another answer in place of the right one."""

    def script(fault: Fault, exchange: Exchange) -> Script:
        reply = make(fault, exchange, _settle_effect(fault, exchange))
        yield render(reply, exchange.standing())

    return script


def _wrong_types(_fault: Fault, _exchange: Exchange, reply: Reply) -> Reply:
    """Turn strings into lists, numbers into objects and the rest into strings."""

    def wrong(value: object) -> object:
        if isinstance(value, str):
            return [value]
        return {"value": value} if isinstance(value, int | float) else "?"

    # Not msgspec, which takes no half of a surrogate pair.
    document: object = json.loads(reply.body or b"null")
    changed: object = wrong(document)
    if isinstance(document, dict):
        changed = {key: wrong(value) for key, value in cast("dict[str, object]", document).items()}
    return Reply(200, json.dumps(changed).encode())


def _other_id(fault: Fault, exchange: Exchange, _reply: Reply) -> Reply:
    return _about_another(exchange, fault["other"])


def _about_another(exchange: Exchange, other: int | None) -> Reply:
    return exchange.present((exchange.request.customer_id or 0) + 1 if other is None else other)


@lru_cache(maxsize=4)
def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    megabyte = bytes(2**20)
    parts = [packer.compress(megabyte[: min(2**20, size - done)]) for done in range(0, size, 2**20)]
    return b"".join([*parts, packer.flush()])


_GZIP = b"Content-Encoding: gzip\r\n"


def _gzip_bomb(fault: Fault, _exchange: Exchange, _reply: Reply) -> Reply:
    return Reply(200, _bomb(fault["size"]), _GZIP)


def _gzip_answer(_fault: Fault, _exchange: Exchange, reply: Reply) -> Reply:
    return Reply(reply.status, zlib.compress(reply.body, wbits=31), reply.headers + _GZIP)


def _broken_gzip(_fault: Fault, _exchange: Exchange, reply: Reply) -> Reply:
    return Reply(reply.status, reply.body, reply.headers + _GZIP)


def _deep_json(fault: Fault, _exchange: Exchange, _reply: Reply) -> Reply:
    return Reply(200, b"[" * fault["depth"] + b"]" * fault["depth"])


def _header_flood(fault: Fault, _exchange: Exchange, reply: Reply) -> Reply:
    padding = b"x" * fault["length"]
    flood = b"".join(b"X-Flood-%d: %b\r\n" % (number, padding) for number in range(fault["count"]))
    return Reply(reply.status, reply.body, reply.headers + flood)


def _oversized_body(fault: Fault, _exchange: Exchange, reply: Reply) -> Reply:
    return Reply(reply.status, reply.body.ljust(fault["size"]), reply.headers)


def _html(fault: Fault, _exchange: Exchange, _reply: Reply) -> Reply:
    return Reply(fault["code"], _PAGE, content_type=HTML)


def _empty(fault: Fault, _exchange: Exchange, _reply: Reply) -> Reply:
    return Reply(fault["code"])


def _no_content(_fault: Fault, _exchange: Exchange, _reply: Reply) -> Reply:
    return Reply(204)


def _null_body(_fault: Fault, _exchange: Exchange, _reply: Reply) -> Reply:
    return Reply(200, b"null")


def _bad_json(_fault: Fault, _exchange: Exchange, reply: Reply) -> Reply:
    # A customer that is cut within a string stays bad JSON wherever the cut falls.
    return Reply(200, reply.body[: len(reply.body) // 2].rstrip(b"}] ") or b"{")


def _unsolicited_answer(fault: Fault, exchange: Exchange) -> Script:
    right = render(_settle_effect(fault, exchange), exchange.standing())
    second = render(_about_another(exchange, fault["other"]), exchange.standing())
    if not fault["after"]:
        # One write: both must be there when the client reads the first.
        yield right + second
        return
    yield right
    yield fault["after"]
    yield second


def _duplicate_content_length(fault: Fault, exchange: Exchange) -> Script:
    reply = _settle_effect(fault, exchange)
    twice = b"Content-Length: %d\r\n" % (len(reply.body) // 2)
    yield render(Reply(reply.status, reply.body, reply.headers + twice), exchange.standing())


def _cut_body(fault: Fault, exchange: Exchange) -> Script:
    reply = _settle_effect(fault, exchange)
    body = reply.body or b"null"
    kept = min(int(len(body) * fault["keep"]), len(body) - 1)
    yield render_head(reply, exchange.standing(), len(body)) + body[:kept]
    yield _BREATH
    yield _end(fault["then"])


def _slow_body(fault: Fault, exchange: Exchange) -> Script:
    reply = _settle_effect(fault, exchange)
    yield render_head(reply, exchange.standing())
    for start in range(0, len(reply.body), fault["chunk"]):
        yield fault["seconds"]
        yield reply.body[start : start + fault["chunk"]]


def _delay(fault: Fault, exchange: Exchange) -> Script:
    reply = _settle_effect(fault, exchange)
    yield float(fault["seconds"])
    yield render(reply, exchange.standing())


def _lagging_read(fault: Fault, exchange: Exchange) -> Script:
    yield render(exchange.behind(fault["seconds"]), exchange.standing())


def _doubled_request(fault: Fault, exchange: Exchange) -> Script:
    first = exchange.perform()
    if fault["answer"] == "first":
        # The copy arrives, whatever becomes of the connection meanwhile.
        exchange.perform_later(fault["after"])
        yield render(first, exchange.standing())
        return
    yield float(fault["after"])
    yield render(exchange.perform(), exchange.standing())


def _close_after_answer(fault: Fault, exchange: Exchange) -> Script:
    yield render(_settle_effect(fault, exchange), exchange.standing())
    yield float(fault["after"]) or _BREATH * (fault["then"] == "reset")
    yield _end(fault["then"])


def connection_script(fault: Fault) -> Script:
    """Return the script of a fault that strikes on accept, or on the first bytes."""
    if fault.kind == "tls_trouble":
        yield fault["garbage"]
        yield End.CLOSE
    elif fault.kind != "stall_connect":
        yield End.CLOSE if fault.kind.startswith("close") else End.RESET
    elif fault["seconds"] is None:
        yield End.HANG
    else:
        yield float(fault["seconds"])


SCRIPTS: dict[str, Callable[[Fault, Exchange], Script]] = {
    "reset_in_headers": _in_the_middle,
    "close_in_headers": _in_the_middle,
    "reset_in_body": _in_the_middle,
    "close_in_body": _in_the_middle,
    "reset_before_effect": _cut_off,
    "reset_after_effect": _cut_off,
    "close_before_effect": _cut_off,
    "close_after_effect": _cut_off,
    "hang_before_effect": _cut_off,
    "hang_after_effect": _cut_off,
    "late_effect": _late_effect,
    "status": _status,
    "redirect": _redirect,
    "html": _substitute(_html),
    "empty": _substitute(_empty),
    "no_content": _substitute(_no_content),
    "null_body": _substitute(_null_body),
    "bad_json": _substitute(_bad_json),
    "wrong_types": _substitute(_wrong_types),
    "other_id": _substitute(_other_id),
    "unsolicited_answer": _unsolicited_answer,
    "duplicate_content_length": _duplicate_content_length,
    "cut_body": _cut_body,
    "slow_body": _slow_body,
    "gzip_bomb": _substitute(_gzip_bomb),
    "gzip_answer": _substitute(_gzip_answer),
    "broken_gzip": _substitute(_broken_gzip),
    "deep_json": _substitute(_deep_json),
    "header_flood": _substitute(_header_flood),
    "oversized_body": _substitute(_oversized_body),
    "delay": _delay,
    "lagging_read": _lagging_read,
    "doubled_request": _doubled_request,
    "close_after_answer": _close_after_answer,
}
