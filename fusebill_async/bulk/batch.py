"""The client as a batch uses it."""

from __future__ import annotations

import attrs

from fusebill_async.bulk.journal import Journal
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.gate import Gate
from fusebill_async.settings import Priority

_SHORTEST_QUEUE = 120.0
"""Seconds for which an item waits for the quota in any case: a minute's window opens within 60."""
_WAITS_FOR_SETTLING = 86_400.0
"""Seconds: an item ends with its outcome, however long settling takes."""


def as_batch(core: ClientCore) -> ClientCore:
    """The client, with the priority of a batch."""
    timeouts = core.options.timeouts
    queue = None if timeouts.queue is None else max(timeouts.queue, _SHORTEST_QUEUE)
    options = attrs.evolve(
        core.options, priority=Priority.BULK, timeouts=attrs.evolve(timeouts, queue=queue), on_cancel="finish"
    )
    return attrs.evolve(core, options=options)


def with_ledger(core: ClientCore, journal: Journal, gate: Gate) -> ClientCore:
    """The same, with writes that are recorded in the journal, and a gate that may hold them back."""
    settling = attrs.evolve(core.setup.settling, wait=_WAITS_FOR_SETTLING)
    setup = attrs.evolve(core.setup, settling=settling)
    batch = as_batch(core)
    options = attrs.evolve(batch.options, gate=gate)
    return attrs.evolve(batch, setup=setup, writing=setup.over(journal.ledger), options=options)
