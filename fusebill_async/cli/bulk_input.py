"""The input of a job from a file: CSV with a header, or JSON lines."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
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
from fusebill_async.updating.changes import wire_changes
from fusebill_async.wire.checks import is_object
from fusebill_async.wire.request import LARGEST_ID

Form: TypeAlias = Literal["csv", "jsonl"]

ERASES = r"\N"
"""What stands in a cell whose field is to be erased."""
_IDS = frozenset({"id", "customer_id", "customerid"})
_AT_ONCE = 65_536
"""Bytes that are read at once."""
_NAMED = 3
"""Columns that an error names."""
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
        ignore_columns: take no notice of columns that the operation has no use for.
        erased: how many cells erase a field, by its name. It is known when the rows were read.
        empty: the same for cells that leave it alone.
        unused: columns that the operation has no use for.
    """

    file: str
    operation: Operation
    form: Form | None = None
    ignore_columns: bool = False
    erased: Counter[str] = attrs.field(factory=Counter[str], init=False)
    empty: Counter[str] = attrs.field(factory=Counter[str], init=False)
    unused: list[str] = attrs.field(factory=list[str], init=False)

    def __iter__(self) -> Iterator[Any]:
        with self._opened() as text:
            if self._is_json(text):
                yield from self._json_lines(text)
            else:
                yield from self._rows(text)

    @contextmanager
    def _opened(self) -> Generator[TextIO]:
        try:
            raw: Any = _Interruptible(self.file)
            with io.TextIOWrapper(io.BufferedReader(raw, _AT_ONCE), encoding="utf-8-sig", newline="") as text:
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
        # Strict: a file that ends within quotes was cut off.
        rows = csv.reader(text, strict=True)
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
        """What each column is for, by its place: the name of a field, or a parameter of the operation.

        Raises:
            ValidationError: the operation has no use for some of them.
        """
        used: dict[int, str | Parameter] = {}
        useless: list[str] = []
        for number, name in enumerate(names):
            if number == place or not name:
                continue
            try:
                used[number] = self._column(name)
            except ValidationError as error:
                useless.append(error.message)
                self.unused.append(name)
        if useless and not self.ignore_columns:
            more = f"; and {len(useless) - _NAMED} more" if len(useless) > _NAMED else ""
            told = f"{'; '.join(useless[:_NAMED])}{more}"
            raise ValidationError(f"{self.file}: {told}. Take that out, or add --ignore-columns", field="file")
        return used

    def _column(self, name: str) -> str | Parameter:
        if self.operation is UPDATE:
            # What is no field, or one that the service sets, is refused as it is in an update.
            wire_changes(fields_of([(name, None)]))
            return name
        own = [parameter for parameter in self.operation.parameters if parameter.name != "customer_id"]
        for parameter in own:
            if name in {parameter.name, parameter.key}:
                return parameter
        takes = f"takes {', '.join(parameter.name for parameter in own)}" if own else "takes none"
        raise ValidationError(f"{shown(name)} is no option: {self.operation.title} {takes}", field=name)

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
        names: dict[str, str | None] = {}
        for line, written in enumerate(text, 1):
            if not written.strip():
                continue
            try:
                customer_id, given = _of_json(decode_json(written.encode()))
            except UnreadableAnswer as error:
                yield BadRow(f"line {line}: no JSON ({error.reason})")
                continue
            except ValidationError as error:
                yield BadRow(f"line {line}: {error}")
                continue
            for name in given:
                if name not in names:
                    names[name] = self._named(name, line)
            own = {names[name]: value for name, value in given.items() if names[name] is not None}
            yield (customer_id, own) if own else customer_id

    def _named(self, name: str, line: int) -> str | None:
        """The Python name of a key; None if the operation has no use for it.

        Raises:
            ValidationError: it has none, and such keys are not to be ignored.
        """
        try:
            column = self._column(name)
        except ValidationError as error:
            if self.ignore_columns:
                self.unused.append(name)
                return None
            raise ValidationError(
                f"{self.file}, line {line}: {error.message}. Take it out, or add --ignore-columns", field="file"
            ) from None
        return next(iter(fields_of([(column, None)]))) if isinstance(column, str) else column.name


def _of_json(value: Any) -> tuple[int, dict[str, Any]]:
    """The id that a line gives, and what else."""
    if not is_object(value):
        return _json_id(value), {}
    ids = [given for name, given in value.items() if name.lower() in _IDS]
    if len(ids) != 1:
        raise ValidationError(f"it needs one id: {shown(value)}")
    return _json_id(ids[0]), {name: given for name, given in value.items() if name.lower() not in _IDS}


class _Interruptible(io.RawIOBase):
    """A file whose reading a signal ends at once, also where it is a pipe into which nobody writes."""

    def __init__(self, file: str) -> None:
        super().__init__()
        with interruptible_input():
            self._file = None if file == STDIN else io.FileIO(file)
        stdin: Any = sys.stdin.buffer
        self._read: Callable[[int], bytes | None] = stdin.read1 if self._file is None else self._file.read

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read some bytes."""
        with interruptible_input():
            data = self._read(len(buffer)) or b""
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._file is not None:
            self._file.close()
        super().close()


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
