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
from fusebill_async.session import aiohttp_transport, judging
from fusebill_async.settings import SettlingPolicy
from fusebill_async.settling import preparing, reader
from fusebill_async.settling.reader import SettlingReader
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


async def as_often_as_aiohttp_likes(request: Any, handler: Any) -> Any:
    """A middleware in place of the one that keeps aiohttp from sending again what it deems idempotent."""
    return await handler(request)


_right_hand_out = aiohttp_transport._UnderWay.hand_out


def handed_out_again(self: Any) -> None:
    """As `_UnderWay.hand_out`, which refuses a second connection for one exchange."""
    self.sent_at = None
    _right_hand_out(self)


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
            (aiohttp_transport, "_send_once", as_often_as_aiohttp_likes),
            (aiohttp_transport._UnderWay, "hand_out", handed_out_again),
        ),
    ),
    "id check off": Mutant(
        "an answer about another customer is believed",
        "untrue outcome: applied",
        ((judging, "read_value", _read_anybody),),
    ),
    "settling off": Mutant("what is unknown is sent again unread", "effect twice: ", ((judging, "rule", _send_again),)),
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
        ((SettlingReader, "shows_effect", _true),),
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
