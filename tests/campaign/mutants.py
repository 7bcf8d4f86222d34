"""The safeguards, each broken on purpose: a campaign that stays green without one proves nothing of it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import attrs

from fusebill_async.outcome import Phase
from fusebill_async.policy import retry
from fusebill_async.policy.quota import Quota
from fusebill_async.policy.retry import Ruling
from fusebill_async.session import aiohttp_transport, slot
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling import preparing, reader
from fusebill_async.settling.driver import WriteDriver
from fusebill_async.stores.memory import MemoryLocks
from fusebill_async.wire import answer


@attrs.frozen
class Mutant:
    """One thing that is broken.

    Attributes:
        about: what a reader should know of it.
        seen_as: how the violation begins that it must lead to.
        patches: what takes the place of what: (object, name, replacement).
    """

    about: str
    seen_as: str
    patches: tuple[tuple[Any, str, Any], ...]


_right_session = aiohttp_transport._OwnSessions._make
_right_connect = aiohttp_transport._WatchedConnector.connect


def _session_that_replays(self: Any, *arguments: Any, **options: Any) -> Any:
    """A session that sends a GET or a PUT again by itself, as aiohttp's do."""
    session = _right_session(self, *arguments, **options)
    session._retry_connection = True
    return session


async def _handed_out_again(self: Any, *arguments: Any, **options: Any) -> Any:
    """A connector that gives one exchange a second connection."""
    aiohttp_transport._under_way.get().sent_at = None
    return await _right_connect(self, *arguments, **options)


_right_read, _right_rule = answer.read_value, retry.rule


def _read_anybody(operation: Any, _customer_id: Any, *answer: Any) -> Any:
    return _right_read(operation, None, *answer)


def _send_again(*arguments: Any, **facts: Any) -> Ruling:
    ruling = _right_rule(*arguments, **facts)
    return Ruling.SEND_AGAIN if ruling is Ruling.SETTLE else ruling


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _true(*_: Any, **__: Any) -> bool:
    return True


def _false(*_: Any, **__: Any) -> bool:
    return False


def _no_quiet(*_: Any, **__: Any) -> float:
    return 0.0


MUTANTS: Mapping[str, Mutant] = {
    "replay on": Mutant(
        "aiohttp sends a PUT again by itself",
        "effect twice: ",
        (
            (aiohttp_transport._OwnSessions, "_make", _session_that_replays),
            (aiohttp_transport._WatchedConnector, "connect", _handed_out_again),
        ),
    ),
    "id check off": Mutant(
        "an answer about another customer is believed",
        "untrue outcome: applied",
        ((slot, "read_value", _read_anybody),),
    ),
    "settling off": Mutant("what is unknown is sent again unread", "effect twice: ", ((slot, "rule", _send_again),)),
    "phase ignored": Mutant(
        "a connection that ended with an error counts as one that was never made",
        "effect twice: ",
        (
            (Phase, "nothing_sent", property(lambda phase: phase is not Phase.ANSWERED)),
            (retry, "BEFORE_SENDING", frozenset(Phase) - {Phase.ANSWERED}),
        ),
    ),
    "answers believed": Mutant(
        "an answer counts, whether it shows the effect or not",
        "applied by a response, but it did not happen",
        ((WriteDriver, "_shows_effect", _true),),
    ),
    "customer lock off": Mutant(
        "writes of one customer overtake each other",
        "lost change: ",
        ((MemoryLocks, "acquire_now", _true), (MemoryLocks, "release", _nothing), (MemoryLocks, "still_held", _true)),
    ),
    "stale read accepted": Mutant(
        "a read that lags is evidence, and the base of a PUT",
        "lost change: ",
        ((reader, "is_evidence", _true), (preparing, "lags_behind", _false)),
    ),
    "429 not waited": Mutant(
        "a refusal for the quota pauses nobody", "within a second after a 429", ((Quota, "_pause", _nothing),)
    ),
    "quiet period zero": Mutant(
        "two misses at once prove absence",
        "not applied, but it happened",
        ((SettlingPolicy, "quiet_seconds", _no_quiet),),
    ),
}


@contextmanager
def broken(name: str) -> Generator[None]:
    """Break one of them while the block lasts; "" breaks nothing."""
    patches = MUTANTS[name].patches if name else ()
    with ExitStack() as stack:
        for place, attribute, replacement in patches:
            stack.enter_context(patch.object(place, attribute, replacement))
        yield
