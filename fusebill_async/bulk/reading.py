"""Reads the input of a job into its journal, before anything is sent."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, TypeAlias, cast

import attrs

from fusebill_async.bulk.items import BadRow, Kind, Row
from fusebill_async.bulk.journal import JobFacts, Journal
from fusebill_async.errors import ConfigurationError, ValidationError, shown
from fusebill_async.models import Customer
from fusebill_async.resources.core import ClientCore

Items: TypeAlias = Iterable[Any] | AsyncIterable[Any]
"""Ids, customers, or pairs of one and a dict of changes or options."""

_AT_ONCE = 1000


@attrs.define
class InputReader:
    """Reads the input of a job once.

    Attributes:
        rows: how many there were.
        duplicates: those that said the same as an earlier one.
    """

    _core: ClientCore
    _kind: Kind
    _journal: Journal
    rows: int = 0
    duplicates: int = 0

    async def read(self, items: Items, facts: JobFacts) -> JobFacts:
        """Write the input down, and the mark that it was read to its end; what the journal says of the job then."""
        await self._journal.begin_job(facts)
        fingerprint = _Fingerprint()
        batch: list[tuple[int, Row | str]] = []
        async for given in _each(items):
            self.rows += 1
            row = self._checked(given)
            fingerprint.add(row)
            batch.append((self.rows, row))
            if len(batch) == _AT_ONCE:
                await self._write(batch)
                batch = []
        await self._write(batch)
        facts = attrs.evolve(facts, input_rows=self.rows, duplicates=self.duplicates, fingerprint=fingerprint.text)
        await self._journal.input_ended(facts)
        return facts

    async def compare(self, items: Items, facts: JobFacts) -> None:
        """See that an input is the one that the journal has.

        Raises:
            ConfigurationError: it is another one.
        """
        fingerprint, rows = _Fingerprint(), 0
        async for given in _each(items):
            rows += 1
            fingerprint.add(self._checked(given))
        if (rows, fingerprint.text) != (facts.input_rows, facts.fingerprint):
            raise ConfigurationError(
                f"the journal {self._journal.path} was made for another input ({facts.input_rows:,} rows): give a new "
                "job a journal of its own, or go on with this one by client.bulk.resume(journal)"
            )

    def _checked(self, given: Any) -> Row | str:
        if isinstance(given, BadRow):
            return given.reason
        if isinstance(given, Row):
            # An item of another job, which is taken from its journal.
            return given
        try:
            return self._kind.read(self._core, given)
        except ValidationError as error:
            return str(error)

    async def _write(self, batch: list[tuple[int, Row | str]]) -> None:
        self.duplicates += await self._journal.add(batch)


class _Fingerprint:
    """Tells whether two inputs are the same, row by row."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, row: Row | str) -> None:
        told = row if isinstance(row, str) else f"{row.customer_id} {(row.asked or b'').decode()}"
        self._hash.update(f"{len(told)} {told}".encode("utf-8", "surrogatepass"))

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


async def _each(items: Items) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        given = cast("AsyncIterable[Any]", items)  # type: ignore[redundant-cast]
        async for item in given:
            yield item
        return
    for item in items:
        yield item


def check_items(items: Any) -> Items:
    """See that the input is one that can be read.

    Raises:
        ValidationError: it is a single item, a text, or no input at all.
    """
    checked: Items = items
    if not isinstance(items, (Iterable, AsyncIterable)) or isinstance(items, (str, bytes, dict, Customer)):
        raise ValidationError(
            f"items must be a list, or anything that gives ids, customers or pairs, not {shown(checked)}", field="items"
        )
    return checked
