"""The input of a job from a file: CSV with a header, or JSON lines."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import attrs

from fusebill_async.bulk import BadRow
from fusebill_async.cli.fields import fields_of, option_value
from fusebill_async.cli.input import STDIN, interruptible_input
from fusebill_async.converting import UnreadableAnswer, decode_json
from fusebill_async.errors import ValidationError, shown
from fusebill_async.operations import UPDATE, Operation, Parameter
from fusebill_async.wire.checks import is_object
from fusebill_async.wire.request import LARGEST_ID

Form: TypeAlias = Literal["csv", "jsonl"]

ERASES = r"\N"
"""What stands in a cell whose field is to be erased."""
_IDS = frozenset({"id", "customer_id", "customerid"})
_MOST_DIGITS = 30
"""An id has at most 19, and zeros before them."""
_JSON_LINES = frozenset({".jsonl", ".ndjson"})


@attrs.define
class FileInput:
    """The rows of a file, read one after the other.

    Attributes:
        file: its path; "-" is standard input.
        operation: what the rows are for.
        form: how it is written; None goes by the name of the file.
        erased: how many cells erase a field, by its name. It is known when the rows were read.
        empty: the same for cells that leave it alone.
        unused: columns that the operation has no use for.
    """

    file: str
    operation: Operation
    form: Form | None = None
    erased: Counter[str] = attrs.field(factory=Counter[str], init=False)
    empty: Counter[str] = attrs.field(factory=Counter[str], init=False)
    unused: list[str] = attrs.field(factory=list[str], init=False)

    def __iter__(self) -> Iterator[Any]:
        with self._opened() as text, interruptible_input():
            if self._is_json(text):
                yield from self._json_lines(text)
            else:
                yield from self._rows(text)

    @contextmanager
    def _opened(self) -> Generator[TextIO]:
        try:
            if self.file == STDIN:
                yield io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="")
            else:
                with Path(self.file).open(encoding="utf-8-sig", newline="") as text:
                    yield text
        except OSError as error:
            raise ValidationError(f"{self.file} cannot be read: {error.strerror}", field="file") from None
        except UnicodeDecodeError:
            raise ValidationError(
                f"{self.file} is not UTF-8: save it as CSV UTF-8, as the spreadsheet calls it", field="file"
            ) from None

    def _is_json(self, text: TextIO) -> bool:
        if self.form is not None:
            return self.form == "jsonl"
        return self.file != STDIN and Path(self.file).suffix.lower() in _JSON_LINES and text.readable()

    # --- CSV

    def _rows(self, text: TextIO) -> Iterator[Any]:
        rows = csv.reader(text)
        try:
            header = next(rows, None)
            if not header:
                raise ValidationError(f"{self.file} is empty: its first line names the columns", field="file")
            names = [name.strip() for name in header]
            place = self._place_of_id(names)
            columns = self._columns(names, place)
            for row in rows:
                if row:
                    yield self._row(row, rows.line_num, place, columns, len(names))
        except csv.Error as error:
            raise ValidationError(f"{self.file}, line {rows.line_num}: {error}", field="file") from None

    def _place_of_id(self, names: Sequence[str]) -> int:
        found = [place for place, name in enumerate(names) if name.lower().replace("-", "_") in _IDS]
        if len(found) != 1:
            raise ValidationError(
                f"{self.file} needs one column named id: its first line has {', '.join(names) or 'none'}", field="file"
            )
        if len({name.lower() for name in names}) != len(names):
            raise ValidationError(f"{self.file} has two columns of one name", field="file")
        return found[0]

    def _columns(self, names: Sequence[str], place: int) -> dict[int, str | Parameter]:
        """What each column is for, by its place: the name of a field, or a parameter of the operation."""
        others = {number: name for number, name in enumerate(names) if number != place and name}
        if self.operation is UPDATE:
            return dict(others)
        by_name = {
            spelt: parameter
            for parameter in self.operation.parameters
            if parameter.name != "customer_id"
            for spelt in (parameter.name, parameter.key)
        }
        used = {number: by_name[name] for number, name in others.items() if name in by_name}
        self.unused = [name for number, name in others.items() if number not in used]
        return dict(used)

    def _row(self, row: list[str], line: int, place: int, columns: Mapping[int, Any], width: int) -> Any:
        if len(row) != width:
            return BadRow(f"line {line}: it has {len(row)} cells, and the first line has {width}")
        try:
            customer_id = _id(row[place])
            own = self._own(row, columns)
        except ValidationError as error:
            return BadRow(f"line {line}: {error}")
        return (customer_id, own) if own else customer_id

    def _own(self, row: list[str], columns: Mapping[int, Any]) -> dict[str, Any]:
        cells: list[tuple[Any, str | None]] = []
        for place, column in columns.items():
            name = column if isinstance(column, str) else column.name
            text = row[place]
            if not text.strip():
                self.empty[name] += 1
            elif text == ERASES:
                self.erased[name] += 1
                cells.append((column, None))
            else:
                cells.append((column, text))
        if self.operation is UPDATE:
            return fields_of(cells)
        return {parameter.name: None if text is None else option_value(parameter, text) for parameter, text in cells}

    # --- JSON lines

    def _json_lines(self, text: TextIO) -> Iterator[Any]:
        for line, written in enumerate(text, 1):
            if not written.strip():
                continue
            try:
                yield _of_json(decode_json(written.encode()))
            except UnreadableAnswer as error:
                yield BadRow(f"line {line}: no JSON ({error.reason})")
            except ValidationError as error:
                yield BadRow(f"line {line}: {error}")


def _of_json(value: Any) -> Any:
    if not is_object(value):
        return _json_id(value)
    own = {name: given for name, given in value.items() if name.lower() not in _IDS}
    ids = [given for name, given in value.items() if name.lower() in _IDS]
    if len(ids) != 1:
        raise ValidationError(f"it needs one id: {shown(value)}")
    customer_id = _json_id(ids[0])
    return (customer_id, own) if own else customer_id


def _json_id(value: Any) -> int:
    if type(value) is int and 1 <= value <= LARGEST_ID:
        return value
    raise ValidationError(f"{shown(value)} is no id: an id is a whole number from 1 to 2**63 - 1")


def _id(text: str) -> int:
    given = text.strip()
    is_number = given.isascii() and given.isdigit()
    if is_number and len(given) < _MOST_DIGITS and 1 <= int(given) <= LARGEST_ID:
        return int(given)
    why = "an id is a whole number from 1 to 2**63 - 1"
    if given and not is_number and not set(given) - set("0123456789.,eE+ '"):
        why = "a spreadsheet has changed it: format the column as text, and fill it anew"
    raise ValidationError(f"{shown(given)} is no id: {why}")
