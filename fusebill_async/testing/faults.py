"""Faults that a test can ask for: data that says what goes wrong, how often and for whom.

    fusebill.inject(Fault.reset_after_effect(operation="activate", times=1))
    fusebill.inject(Fault.status(503, effect="late", late_by=0.5, probability=0.1, times=None))

Every fault takes `operation`, `customer_id` (None: all), `times` (None: for ever), `skip` (let so many
matching
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, Self, TypeAlias, TypedDict, Unpack

import attrs

from fusebill_async.testing.effect_log import title_of

When: TypeAlias = Literal["none", "before", "late"]
"""Whether the effect happens: never, before the answer, or `late_by` seconds after the request was read."""

Ending: TypeAlias = Literal["reset", "close", "hang", "status"]
Cut: TypeAlias = Literal["reset", "close"]
Side: TypeAlias = Literal["request", "answer"]
QuotaHeaders: TypeAlias = Literal["with", "without", "garbage"]

Level: TypeAlias = Literal["listen", "accept", "first_bytes", "request"]
"""When a fault strikes: while nobody listens, on accept, on the first bytes, or once a request was read."""


class Scope(TypedDict, total=False):
    """For whom and how often."""

    operation: str | None
    customer_id: int | None
    times: int | None
    skip: int
    probability: float


class AnswerScope(Scope, total=False):
    """For whom and how often, and whether the effect happens."""

    effect: When
    late_by: float


def _title(name: str | None) -> str | None:
    return None if name is None else title_of(name)


@attrs.frozen(repr=False)
class Fault:
    """One kind of trouble. Make it with the class methods, which are named after what happens.

    Attributes:
        kind: the name of the class method.
        options: what this kind takes, in order.
        operation: the title of the operation that it strikes; None is all. Faults of a connection strike
            whoever connects, since no request has been read yet.
        customer_id: the customer that it strikes; None is all.
        times: how often; None is for ever.
        skip: how many that match pass unharmed first.
        probability: 0 to 1, drawn from the simulator's seed.
        effect: whether the effect of the request happens.
        late_by: seconds until a late effect.
        level: when it strikes.
    """

    kind: str
    options: tuple[tuple[str, Any], ...] = ()
    operation: str | None = attrs.field(default=None, converter=_title, kw_only=True)
    customer_id: int | None = attrs.field(default=None, kw_only=True)
    times: int | None = attrs.field(default=1, kw_only=True)
    skip: int = attrs.field(default=0, kw_only=True)
    probability: float = attrs.field(default=1.0, kw_only=True)
    effect: When = attrs.field(
        default="before", kw_only=True, validator=attrs.validators.in_(["none", "before", "late"])
    )
    late_by: float = attrs.field(default=0.2, kw_only=True)
    level: Level = attrs.field(default="request", kw_only=True)

    def __getitem__(self, option: str) -> Any:
        return dict(self.options)[option]

    def __repr__(self) -> str:
        parameters = inspect.signature(getattr(type(self), self.kind)).parameters
        given = [f"{name}={value!r}" for name, value in self.options if value != parameters[name].default]
        for name, usual in (
            ("operation", None),
            ("customer_id", None),
            ("times", 1),
            ("skip", 0),
            ("probability", 1.0),
        ):
            value = getattr(self, name)
            if value != usual:
                given.append(f"{name}={value!r}")
        if self.kind in _ANSWERS:
            given.append(f"effect={self.effect!r}")
            if self.effect == "late":
                given.append(f"late_by={self.late_by!r}")
        return f"Fault.{self.kind}({', '.join(given)})"

    def scoped(self, **scope: Unpack[AnswerScope]) -> Self:
        """Return the same fault for somebody else, or with another fate of the effect."""
        return attrs.evolve(self, **scope)

    # -- the connection ------------------------------------------------------------------------------------

    @classmethod
    def refuse(cls, *, seconds: float | None = None, **scope: Unpack[Scope]) -> Self:
        """Nobody listens, so a connect is refused, for `seconds` or until `clear_faults()`.

        The kernel's refusals cannot be counted: with `times` so many connections are reset on accept instead.
        """
        level: Level = "accept" if scope.get("times") is not None else "listen"
        return cls("refuse", (("seconds", seconds),), **_for_ever(scope), level=level)

    @classmethod
    def stall_connect(cls, *, backlog: bool = False, seconds: float | None = None, **scope: Unpack[Scope]) -> Self:
        """The connection is accepted and then nothing is read, for `seconds` or for ever.

        With `backlog` the queue of the listening socket is full, so that the connect itself hangs until
        `clear_faults()`; that cannot be counted either.
        """
        options = (("backlog", backlog), ("seconds", seconds))
        if backlog:
            return cls("stall_connect", options, **_for_ever({**scope, "times": None}), level="listen")
        return cls("stall_connect", options, **scope, level="accept")

    @classmethod
    def reset_on_accept(cls, **scope: Unpack[Scope]) -> Self:
        """RST as soon as the connection is there."""
        return cls("reset_on_accept", **scope, level="accept")

    @classmethod
    def close_on_accept(cls, **scope: Unpack[Scope]) -> Self:
        """FIN as soon as the connection is there."""
        return cls("close_on_accept", **scope, level="accept")

    @classmethod
    def tls_trouble(cls, *, garbage: bytes = b"\x15\x03\x01\x00\x02\x02\x28", **scope: Unpack[Scope]) -> Self:
        """Garbage answers the first bytes, be it a TLS hello or HTTP, then FIN. By default a TLS alert."""
        return cls("tls_trouble", (("garbage", garbage),), **scope, level="first_bytes")

    # -- in the middle of a message ------------------------------------------------------------------------

    @classmethod
    def reset_in_headers(cls, *, of: Side = "request", **scope: Unpack[AnswerScope]) -> Self:
        """RST within the headers of the request (no effect can happen) or of the answer."""
        return cls("reset_in_headers", (("of", of),), **_without_effect(of, scope))

    @classmethod
    def close_in_headers(cls, *, of: Side = "request", **scope: Unpack[AnswerScope]) -> Self:
        """FIN within the headers of the request (no effect can happen) or of the answer."""
        return cls("close_in_headers", (("of", of),), **_without_effect(of, scope))

    @classmethod
    def reset_in_body(cls, *, of: Side = "request", **scope: Unpack[AnswerScope]) -> Self:
        """RST within the body of the request (no effect can happen) or of the answer."""
        return cls("reset_in_body", (("of", of),), **_without_effect(of, scope))

    @classmethod
    def close_in_body(cls, *, of: Side = "request", **scope: Unpack[AnswerScope]) -> Self:
        """FIN within the body of the request (no effect can happen) or of the answer."""
        return cls("close_in_body", (("of", of),), **_without_effect(of, scope))

    # -- after the request was read ------------------------------------------------------------------------

    @classmethod
    def reset_before_effect(cls, **scope: Unpack[Scope]) -> Self:
        """RST after the request was read; it has no effect."""
        return cls("reset_before_effect", **scope, effect="none")

    @classmethod
    def reset_after_effect(cls, **scope: Unpack[Scope]) -> Self:
        """RST after the effect."""
        return cls("reset_after_effect", **scope)

    @classmethod
    def close_before_effect(cls, **scope: Unpack[Scope]) -> Self:
        """FIN after the request was read; it has no effect."""
        return cls("close_before_effect", **scope, effect="none")

    @classmethod
    def close_after_effect(cls, **scope: Unpack[Scope]) -> Self:
        """FIN after the effect."""
        return cls("close_after_effect", **scope)

    @classmethod
    def hang_before_effect(cls, **scope: Unpack[Scope]) -> Self:
        """No answer ever, and no effect."""
        return cls("hang_before_effect", **scope, effect="none")

    @classmethod
    def hang_after_effect(cls, **scope: Unpack[Scope]) -> Self:
        """The effect, but no answer ever."""
        return cls("hang_after_effect", **scope)

    @classmethod
    def late_effect(
        cls, *, delay: float = 0.2, then: Ending = "reset", code: int = 503, **scope: Unpack[Scope]
    ) -> Self:
        """The connection ends at once as `then` says ("status": an answer with `code`); the effect comes `delay` s later."""  # noqa: E501  # one line, as a first line should be
        options = (("delay", delay), ("then", then), ("code", code))
        return cls("late_effect", options, **scope, effect="late", late_by=delay)

    # -- answers -------------------------------------------------------------------------------------------

    @classmethod
    def status(
        cls,
        code: int,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str | None = None,
        retry_after: str | float | None = None,
        quota_headers: QuotaHeaders = "with",
        **scope: Unpack[AnswerScope],
    ) -> Self:
        """A status and no effect by default; `body` None is the service's error shape."""
        options = (
            ("code", code), ("headers", tuple(dict(headers).items())), ("body", body),
            ("retry_after", retry_after), ("quota_headers", quota_headers),
        )  # fmt: skip
        return cls("status", options, **_no_effect(scope))

    @classmethod
    def redirect(cls, code: int = 302, *, to: str | None = None, **scope: Unpack[AnswerScope]) -> Self:
        """A redirect: `to` None is the same path on the same host, else a path or a whole address."""
        return cls("redirect", (("code", code), ("to", to)), **_no_effect(scope))

    @classmethod
    def html(cls, *, code: int = 200, **scope: Unpack[AnswerScope]) -> Self:
        """A page of HTML, as a proxy sends it, with 200."""
        return cls("html", (("code", code),), **scope)

    @classmethod
    def empty(cls, *, code: int = 200, **scope: Unpack[AnswerScope]) -> Self:
        """200 with no body."""
        return cls("empty", (("code", code),), **scope)

    @classmethod
    def no_content(cls, **scope: Unpack[AnswerScope]) -> Self:
        """204."""
        return cls("no_content", **scope)

    @classmethod
    def null_body(cls, **scope: Unpack[AnswerScope]) -> Self:
        """200 with the body `null`."""
        return cls("null_body", **scope)

    @classmethod
    def bad_json(cls, **scope: Unpack[AnswerScope]) -> Self:
        """200 with a body that is cut JSON although its length is right."""
        return cls("bad_json", **scope)

    @classmethod
    def wrong_types(cls, **scope: Unpack[AnswerScope]) -> Self:
        """200 with valid JSON in which every value has another type."""
        return cls("wrong_types", **scope)

    @classmethod
    def other_id(cls, *, other: int | None = None, **scope: Unpack[AnswerScope]) -> Self:
        """The answer is about another customer: `other`, or the id plus one."""
        return cls("other_id", (("other", other),), **scope)

    @classmethod
    def unsolicited_answer(cls, *, after: float = 0.0, other: int | None = None, **scope: Unpack[AnswerScope]) -> Self:
        """A second answer, `after` seconds, about customer `other`; it waits on the idle connection."""
        return cls("unsolicited_answer", (("after", after), ("other", other)), **scope)

    @classmethod
    def duplicate_content_length(cls, **scope: Unpack[AnswerScope]) -> Self:
        """Two Content-Length headers that differ."""
        return cls("duplicate_content_length", **scope)

    @classmethod
    def cut_body(cls, *, keep: float = 0.5, then: Cut = "close", **scope: Unpack[AnswerScope]) -> Self:
        """Only a share of the body that Content-Length promises, then FIN or RST."""
        return cls("cut_body", (("keep", keep), ("then", then)), **scope)

    @classmethod
    def slow_body(cls, *, seconds: float = 0.1, chunk: int = 256, **scope: Unpack[AnswerScope]) -> Self:
        """The body comes in chunks, `seconds` apart."""
        return cls("slow_body", (("seconds", seconds), ("chunk", chunk)), **scope)

    @classmethod
    def gzip_bomb(cls, *, size: int = 64 * 2**20, **scope: Unpack[AnswerScope]) -> Self:
        """`size` zero bytes, compressed to a thousandth."""
        return cls("gzip_bomb", (("size", size),), **scope)

    @classmethod
    def gzip_answer(cls, **scope: Unpack[AnswerScope]) -> Self:
        """The right answer, compressed."""
        return cls("gzip_answer", **scope)

    @classmethod
    def broken_gzip(cls, **scope: Unpack[AnswerScope]) -> Self:
        """The right answer, said to be compressed, but it is not."""
        return cls("broken_gzip", **scope)

    @classmethod
    def deep_json(cls, *, depth: int = 100_000, **scope: Unpack[AnswerScope]) -> Self:
        """Lists in lists, `depth` deep."""
        return cls("deep_json", (("depth", depth),), **scope)

    @classmethod
    def header_flood(cls, *, count: int = 5000, length: int = 1000, **scope: Unpack[AnswerScope]) -> Self:
        """`count` headers of `length` characters before the body."""
        return cls("header_flood", (("count", count), ("length", length)), **scope)

    @classmethod
    def oversized_body(cls, *, size: int = 9 * 2**20, **scope: Unpack[AnswerScope]) -> Self:
        """The right answer, with spaces after it up to `size` bytes."""
        return cls("oversized_body", (("size", size),), **scope)

    @classmethod
    def delay(cls, seconds: float, **scope: Unpack[AnswerScope]) -> Self:
        """The right answer, `seconds` late; the effect happens when the request was read."""
        return cls("delay", (("seconds", seconds),), **scope)

    # -- what stands between, and behind -------------------------------------------------------------------

    @classmethod
    def lagging_read(cls, seconds: float, **scope: Unpack[Scope]) -> Self:
        """A read is answered by a replica that is `seconds` behind; it knows of changes since the fault was injected.

        It strikes `customers.get`, `customers.overview` and `customers.list` alone. A customer that was made less
        than `seconds` ago is not found.
        """
        return cls("lagging_read", (("seconds", seconds),), **scope)

    @classmethod
    def doubled_request(
        cls, *, after: float = 0.02, answer: Literal["first", "second"] = "second", **scope: Unpack[Scope]
    ) -> Self:
        """A proxy sends the request a second time, `after` s later, and passes on the answer to one of the two."""
        return cls("doubled_request", (("after", after), ("answer", answer)), **scope)

    @classmethod
    def close_after_answer(cls, *, then: Cut = "close", after: float = 0.0, **scope: Unpack[AnswerScope]) -> Self:
        """The right answer, then FIN or RST although the connection was said to stay open."""
        return cls("close_after_answer", (("then", then), ("after", after)), **scope)


LAGGING = frozenset({"customers.get", "customers.overview", "customers.list"})
"""The operations that a replica answers."""

_ANSWERS = frozenset({
    "reset_in_headers", "close_in_headers", "reset_in_body", "close_in_body",
    "status", "redirect", "html", "empty", "no_content", "null_body", "bad_json", "wrong_types", "other_id",
    "unsolicited_answer", "duplicate_content_length", "cut_body", "slow_body", "gzip_bomb", "gzip_answer",
    "broken_gzip", "deep_json", "header_flood", "oversized_body", "delay", "close_after_answer",
})  # fmt: skip


def _for_ever(scope: Scope) -> Scope:
    return {"times": None, **scope}


def _no_effect(scope: AnswerScope) -> AnswerScope:
    return {"effect": "none", **scope}


def _without_effect(of: Side, scope: AnswerScope) -> AnswerScope:
    """A request that was not read to its end has no effect, whatever was asked for."""
    return {**scope, "effect": "none"} if of == "request" else scope


class Fired(NamedTuple):
    """A fault that struck."""

    fault: Fault
    operation: str
    customer_id: int | None
    at: float
    connection: int


@attrs.define(eq=False)
class _Pending:
    fault: Fault
    left: int | None
    skip: int
    struck: bool = False


class FaultScript:
    """The faults that wait, in the order in which they were injected; the first that matches strikes."""

    def __init__(self, seed: int) -> None:
        self._pending: list[_Pending] = []
        self._random = random.Random(seed)  # noqa: S311  # chance in a test must be repeatable
        self.fired: list[Fired] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait for its victim."""
        self._pending.append(_Pending(fault, fault.times, fault.skip))

    def clear(self) -> None:
        """Forget the faults that wait; the log of those that struck stays."""
        self._pending.clear()

    @property
    def waiting(self) -> list[Fault]:
        """The faults that still wait."""
        return [pending.fault for pending in self._pending]

    @property
    def never_struck(self) -> list[Fault]:
        """The faults that still wait for their first victim."""
        return [pending.fault for pending in self._pending if not pending.struck]

    def __bool__(self) -> bool:
        return bool(self._pending)

    def strike(
        self, level: Level, at: float, connection: int, operation: str = "", customer_id: int | None = None
    ) -> Fault | None:
        """Return the fault that strikes here and now, and note it."""
        for pending in self._pending:
            fault = pending.fault
            if fault.level != level or not _meets(fault, level, operation, customer_id):
                continue
            if fault.probability < 1.0 and self._random.random() >= fault.probability:
                continue
            if pending.skip:
                pending.skip -= 1
                continue
            self._spend(pending)
            self.fired.append(Fired(fault, operation, customer_id, at, connection))
            return fault
        return None

    def _spend(self, pending: _Pending) -> None:
        pending.struck = True
        if pending.left is not None:
            pending.left -= 1
            if pending.left <= 0:
                self._pending.remove(pending)


def _meets(fault: Fault, level: Level, operation: str, customer_id: int | None) -> bool:
    if level != "request":
        return True
    if fault.kind == "lagging_read" and operation not in LAGGING:
        return False
    return fault.operation in {None, operation} and fault.customer_id in {None, customer_id}
