"""The cattrs converter of the service's JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, get_args

import cattrs
import msgspec

from fusebill_async.converting.encoding import encode, to_wire
from fusebill_async.converting.json_text import plain_value
from fusebill_async.converting.quirks import (
    exact_decimal,
    flag,
    int_from_text,
    iso_in_utc,
    items_of,
    moment_in_utc,
    open_enum,
    text_from_number,
)
from fusebill_async.converting.reading import (
    AnyView,
    FieldReader,
    is_open_enum,
    is_view,
    is_view_or_decimal,
    is_view_tuple,
    reader_of,
)
from fusebill_async.models import WireView


class ViewHook:
    """The hook of one model: makes the view over the text of an object, or over a dict; null is None."""

    def __init__(self, reader: FieldReader[Any]) -> None:
        self.reader = reader

    def __call__(self, value: Any, _: Any) -> Any:
        """Make the view; TypeError for what is not an object."""
        if isinstance(value, msgspec.Raw) and bytes(value) == b"null":
            return None
        wire = encode(value) if isinstance(value, dict) else bytes(value) if _is_text(value) else b""
        if not wire.lstrip().startswith(b"{"):
            raise TypeError("an object is wanted")
        return self.reader.view(wire)


def configure_converter(converter: cattrs.Converter) -> None:
    """Teach a converter the models and the service's quirks."""
    converter.register_structure_hook(str, text_from_number)
    converter.register_structure_hook(int, int_from_text)
    converter.register_structure_hook(bool, flag)
    converter.register_structure_hook(Decimal, exact_decimal)
    converter.register_structure_hook(datetime, moment_in_utc)
    converter.register_structure_hook_factory(is_open_enum, open_enum)
    converter.register_structure_hook_factory(is_view, _view_hooks(converter))
    converter.register_structure_hook_factory(is_view_tuple, _tuple_hooks(converter))
    converter.register_structure_hook_factory(is_view_or_decimal, _either_hooks(converter))

    converter.register_unstructure_hook(datetime, iso_in_utc)
    converter.register_unstructure_hook_func(_is_enum, lambda member: member.value)
    converter.register_unstructure_hook_func(is_view, _unstructure_view)


def make_converter() -> cattrs.Converter:
    """Make a converter that is configured for the service."""
    converter = cattrs.Converter(detailed_validation=False)
    configure_converter(converter)
    return converter


@cache
def own_converter() -> cattrs.Converter:
    """Give the package's own converter. It is made when the first field is read that needs one."""
    return make_converter()


def own_reader(model: type[AnyView]) -> FieldReader[AnyView]:
    """Give what the package's own converter reads a model with."""
    return reader_of(own_converter(), model)


_Hook: TypeAlias = Callable[[Any, Any], Any]


def _view_hooks(converter: cattrs.Converter) -> Callable[[type[WireView]], _Hook]:
    def make(model: type[WireView]) -> _Hook:
        return ViewHook(FieldReader(model, lambda: converter, own_reader))

    return make


def _tuple_hooks(converter: cattrs.Converter) -> Callable[[Any], _Hook]:
    def make(kind: Any) -> _Hook:
        model = get_args(kind)[0]
        structure = converter.get_structure_hook(model)

        def hook(value: Any, _: Any) -> Any:
            return tuple(structure(item, model) for item in items_of(value))

        return hook

    return make


def _either_hooks(converter: cattrs.Converter) -> Callable[[Any], _Hook]:
    """`tax` of an invoice: an object in the vendor's own client, a number elsewhere (FACTS section 6)."""

    def make(kind: Any) -> _Hook:
        model = next(one for one in get_args(kind) if is_view(one))
        structure = converter.get_structure_hook(model)

        def hook(value: Any, _: Any) -> Any:
            plain = plain_value(value) if isinstance(value, msgspec.Raw) else value
            if isinstance(plain, (msgspec.Raw, dict)):
                return structure(plain, model)
            return None if plain is None else exact_decimal(plain, Decimal)

        return hook

    return make


def _unstructure_view(view: WireView) -> dict[str, Any]:
    return to_wire(view)


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _is_text(value: Any) -> bool:
    return isinstance(value, (bytes, msgspec.Raw))
