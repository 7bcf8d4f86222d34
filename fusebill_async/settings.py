"""The frozen settings of a client. A value that cannot work is refused when the settings are built."""

from __future__ import annotations

import math
from enum import IntEnum
from ssl import SSLContext
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from fusebill_async.errors import ConfigurationError, shown


class Priority(IntEnum):
    """The lower the number, the sooner it goes. A lower class is served now and then all the same."""

    SETTLING = 0
    """A read that settles an unknown outcome. It alone may use the reserve of the day."""
    INTERACTIVE = 1
    """A call that somebody awaits."""
    BULK = 2
    """A call of a batch job, which can wait for the next window or the next day."""


FreshConnections: TypeAlias = Literal["money", "writes", "never"]


def _number(
    *, above: float | None = None, at_least: float | None = None, at_most: float = math.inf, unit: str = ""
) -> Any:
    """A validator for a finite number within bounds."""
    lowest = f"above {above:g}" if above is not None else f"at least {at_least:g}"
    bounds = lowest + (f" and at most {at_most:g}" if at_most != math.inf else "") + (f" {unit}" if unit else "")

    def check(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (
            not is_number
            # An int may be too large for `math.isfinite`.
            or not -math.inf < value < math.inf
            or (above is not None and value <= above)
            or (at_least is not None and value < at_least)
            or value > at_most
        ):
            raise ConfigurationError(
                f"{type(settings).__name__}({attribute.name}=) must be a number {bounds}, not {shown(value)}"
            )

    return check


def _whole(*, at_least: int, at_most: int = 1_000_000) -> Any:
    """A validator for a whole number within bounds."""

    def check(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
            raise ConfigurationError(
                f"{type(settings).__name__}({attribute.name}=) must be a whole number of at least {at_least} "
                f"and at most {at_most:,}, not {shown(value)}"
            )

    return check


def _flag(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{type(settings).__name__}({attribute.name}=) must be True or False, not {shown(value)}"
        )


def _parts(settings: Any, attribute: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    if type(value) is not tuple or not all(isinstance(part, (int, float)) and 0 < part <= 1 for part in value):
        raise ConfigurationError(
            f"{type(settings).__name__}({attribute.name}=) must be a tuple of numbers above 0 and at most 1, "
            f"not {shown(value)}"
        )


def _address(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            f"{type(settings).__name__}({attribute.name}=) must be an address such as http://proxy.example:3128, "
            "or None"
        )


def _context(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, SSLContext):
        raise ConfigurationError(
            f"{type(settings).__name__}({attribute.name}=) must be an ssl.SSLContext or None, not {shown(value)}"
        )


def _one_of(*choices: Any) -> Any:
    """A validator for one of a few values."""

    def check(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not any(value is choice or value == choice for choice in choices):
            named = ", ".join(map(repr, choices))
            raise ConfigurationError(
                f"{type(settings).__name__}({attribute.name}=) must be one of {named}, not {shown(value)}"
            )

    return check


def _optional(validator: Any) -> Any:
    return attrs.validators.optional(validator)


_MOST_CALLS = 1_000_000_000
_seconds: Any = _number(above=0, at_most=86_400, unit="seconds")


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long a call may take, in seconds, each above 0 and at most 86,400.

    Args:
        connect: for name look-up, TCP and TLS of a new connection.
        read: the longest silence of the service in one answer.
        total: for all attempts of one call together, with the pauses between them. Waiting for a place in the
            pool or for quota is not counted, nor is settling, which has its own bound.
        queue: the longest wait for the customer's lock, the pool and the quota; the call then ends as not sent.
            None waits as long as it takes.
    """

    connect: float = attrs.field(default=10.0, validator=_seconds)
    read: float = attrs.field(default=60.0, validator=_seconds)
    total: float = attrs.field(default=150.0, validator=_seconds)
    queue: float | None = attrs.field(default=30.0, validator=_optional(_seconds))


@attrs.frozen(kw_only=True)
class PoolSettings:
    """The connection pool.

    Args:
        connections: how many connections may be in use at once, at least 1.
        keepalive: how long an idle connection is kept, in seconds, above 0.
        fresh_connections: which calls get a new connection each, so that no answer left over on a kept one can reach
            them: "money" for what moves money and what creates, "writes" for every write, "never". It costs a
            handshake a call. None is "money", and "never" with a user's `session=`.
        proxy: the address of an HTTP proxy, such as "http://proxy.example:3128"; None for none.
        trust_env: take a proxy from the environment (HTTPS_PROXY, NO_PROXY and so on), and its password from `.netrc`.
        ssl: the TLS context to use, for a certificate of your own; None trusts what this machine trusts.

    `proxy`, `trust_env` and `ssl` are for the client's own pool: a user's `session=` brings its own.
    """

    connections: int = attrs.field(default=100, validator=_whole(at_least=1))
    keepalive: float = attrs.field(default=15.0, validator=_seconds)
    fresh_connections: FreshConnections | None = attrs.field(
        default=None, validator=_one_of(None, "money", "writes", "never")
    )
    # A proxy's address may hold a password.
    proxy: str | None = attrs.field(default=None, validator=_address, repr=False)
    trust_env: bool = attrs.field(default=False, validator=_flag)
    ssl: SSLContext | None = attrs.field(default=None, validator=_context, repr=False)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call that may be sent again is sent again.

    Args:
        max_attempts: attempts of one call, the first one counted; at least 1. Waiting out a 429 is not an
            attempt.
        backoff: the upper end of the first pause in seconds; it doubles from attempt to attempt, and the pause is
            drawn evenly between 0 and it (full jitter).
        backoff_limit: the longest upper end in seconds.
        budget_ratio: attempts after the first, as a share of the calls of the last `budget_window` seconds (0 to 1).
        budget_minimum: how many such attempts are allowed in any case in that window.
        budget_window: in seconds.
    """

    max_attempts: int = attrs.field(default=3, validator=_whole(at_least=1))
    backoff: float = attrs.field(default=0.5, validator=_number(at_least=0, at_most=3_600, unit="seconds"))
    backoff_limit: float = attrs.field(default=8.0, validator=_number(at_least=0, at_most=3_600, unit="seconds"))
    budget_ratio: float = attrs.field(default=0.1, validator=_number(at_least=0, at_most=1))
    budget_minimum: int = attrs.field(default=10, validator=_whole(at_least=0))
    budget_window: float = attrs.field(default=60.0, validator=_seconds)


@attrs.frozen(kw_only=True)
class QuotaPolicy:
    """How the account's quota is used.

    Args:
        share: the part of the account's quota that this client may use, above 0 and at most 1.
        per_minute: the limit assumed before the first answer has told the real one, at least 1.
        per_day: the same for the day.
        burst: how many calls may go at once before pacing holds them back, as a share of the window's limit
            (0 to 1).
        day_reserve: the part of the day kept back for settling (0 to 0.5).
        thresholds: the used parts of a window at which the hook `quota_threshold` is called.
        workers: how many processes share the account; each falls back to its part while a shared store is away.
        enabled: False never holds a call back; see `QuotaPolicy.off()`.
    """

    share: float = attrs.field(default=1.0, validator=_number(above=0, at_most=1))
    per_minute: int = attrs.field(default=1000, validator=_whole(at_least=1, at_most=_MOST_CALLS))
    per_day: int = attrs.field(default=180_000, validator=_whole(at_least=1, at_most=_MOST_CALLS))
    burst: float = attrs.field(default=0.05, validator=_number(at_least=0, at_most=1))
    day_reserve: float = attrs.field(default=0.01, validator=_number(at_least=0, at_most=0.5))
    thresholds: tuple[float, ...] = attrs.field(default=(0.8, 0.95), validator=_parts)
    workers: int = attrs.field(default=1, validator=_whole(at_least=1))
    enabled: bool = attrs.field(default=True, validator=_flag)

    @classmethod
    def off(cls) -> QuotaPolicy:
        """No pacing. A 429 is still waited out."""
        return cls(enabled=False)


@attrs.frozen(kw_only=True)
class SettlingPolicy:
    """How an unknown outcome is settled by reading the customer.

    Args:
        quiet_period: seconds between two reads that must both miss the goal before an effect counts as not
            applied, since it may come late. None is 10, and 60 for what moves money.
        wait: how long a caller waits for settling, in seconds; it then gets `OutcomeUnknownError`, and settling
            goes on in the background.
        first_read: seconds before the first read.
        retry_delay: seconds before a read that failed is tried again; it grows by `growth` up to `retry_limit`.
        growth: factor, at least 1.
        retry_limit: seconds.
        misses: how many reads must miss the goal, at least 2; the first and the last a quiet period apart.
        quiet_growth: factor from one pause between such reads to the next, at least 1.
        give_up: seconds after which settling ends with the outcome unknown.
        close_wait: how long `aclose()` waits for what is still being sent or settled, in seconds.
        enabled: False reads nothing: an unknown outcome stays unknown.
    """

    quiet_period: float | None = attrs.field(
        default=None, validator=_optional(_number(at_least=0, at_most=86_400, unit="seconds"))
    )
    wait: float = attrs.field(default=30.0, validator=_number(at_least=0, at_most=86_400, unit="seconds"))
    first_read: float = attrs.field(default=0.1, validator=_number(at_least=0, at_most=86_400, unit="seconds"))
    retry_delay: float = attrs.field(default=0.5, validator=_seconds)
    growth: float = attrs.field(default=2.0, validator=_number(at_least=1, at_most=10))
    retry_limit: float = attrs.field(default=30.0, validator=_seconds)
    misses: int = attrs.field(default=2, validator=_whole(at_least=2))
    quiet_growth: float = attrs.field(default=1.0, validator=_number(at_least=1, at_most=10))
    give_up: float = attrs.field(default=600.0, validator=_seconds)
    close_wait: float = attrs.field(default=30.0, validator=_number(at_least=0, at_most=86_400, unit="seconds"))
    enabled: bool = attrs.field(default=True, validator=_flag)

    def pause_after(self, failures: int) -> float:
        """Seconds before the next read after so many in a row that were of no use, from 1."""
        return min(self.retry_limit, self.retry_delay * self.growth ** min(30, failures - 1))

    def quiet_seconds(self, *, moves_money: bool) -> float:
        """The quiet period in seconds for one kind of operation."""
        if self.quiet_period is not None:
            return self.quiet_period
        return 60.0 if moves_money else 10.0


@attrs.frozen(kw_only=True)
class UpdatePolicy:
    """How `update` and `edit` guard against the changes of others.

    Args:
        max_read_age: a customer that was read longer ago than this many seconds is read again right before the PUT.
        rounds: how often an update is merged anew, after changes by others or a lost attempt, before it gives up;
            at least 1.
    """

    max_read_age: float = attrs.field(default=1.0, validator=_number(at_least=0, at_most=86_400, unit="seconds"))
    rounds: int = attrs.field(default=5, validator=_whole(at_least=1))
