"""Ids of customers on the command line and on standard input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter as Option
from cyclopts import Token

from fusebill_async.cli.input import STDIN, read_input
from fusebill_async.errors import ValidationError
from fusebill_async.wire.request import LARGEST_ID


def whole_number(_kind: Any, tokens: Sequence[Token]) -> int:
    """An id, and nothing that would have to be rounded to become one."""
    text = tokens[0].value
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= LARGEST_ID:
        raise ValueError(f"{text!r} is no id: an id is a whole number from 1 to 2**63 - 1")
    return int(text)


def whole_numbers(kind: Any, tokens: Sequence[Token]) -> tuple[int, ...]:
    """Several ids."""
    return tuple(whole_number(kind, [token]) for token in tokens)


FROM_STDIN: tuple[int, ...] = ()
"""In place of ids: they stand on standard input."""


def _ids(kind: Any, tokens: Sequence[Token]) -> tuple[int, ...]:
    """Ids, or "-" alone for those on standard input."""
    texts = [token.value for token in tokens]
    if texts == [STDIN]:
        return FROM_STDIN
    for text in texts:
        if text == STDIN:
            raise ValueError("- stands alone: the ids are on standard input")
        if text.startswith("--"):
            raise ValueError(f"there is no option {text}")
    return tuple(whole_number(kind, [token]) for token in tokens)


def read_ids(given: Sequence[int]) -> tuple[int, ...]:
    """The ids that were given, or those on standard input, apart by white space.

    Raises:
        ValidationError: standard input holds something else, or an id is there twice.
    """
    ids = tuple(given) if given else tuple(map(_id_of, read_input(STDIN, "id").decode("utf-8-sig", "replace").split()))
    if not ids:
        raise ValidationError("standard input holds no id", field="id")
    for customer_id, times in Counter(ids).items():
        if times > 1:
            raise ValidationError(f"{customer_id} is named twice", field="id")
    return ids


def _id_of(text: str) -> int:
    try:
        return whole_number(int, [Token(value=text)])
    except ValueError as error:
        raise ValidationError(f"standard input: {error}", field="id") from None


CustomerIds: TypeAlias = Annotated[
    tuple[int, ...],
    Option(
        converter=_ids, allow_leading_hyphen=True,
        help="The customer's id at Fusebill. Several are taken one after the other; - reads ids from stdin.",
    ),
]  # fmt: skip
CustomerId: TypeAlias = Annotated[int, Option(converter=whole_number, help="The customer's id at Fusebill.")]
