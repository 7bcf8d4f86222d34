"""Reading one field of one model out of the bytes that came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Generic, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import cattrs
import msgspec

from fusebill_async.converting.json_text import NumberText, decode_json, plain_value, wire_fields
from fusebill_async.errors import InvalidResponseError
from fusebill_async.models import WireView, wire_key, wire_keys
from fusebill_async.models.view import revive

AnyView = TypeVar("AnyView", bound=WireView)
_Plan: TypeAlias = tuple[Callable[[bytes], Any], Callable[[Any, Any], Any] | None, Any]

_UNREADABLE = (TypeError, ValueError, ArithmeticError, RecursionError)
"""What decoding and hooks raise over a value that cannot be the field; msgspec's errors are ValueErrors."""


class FieldReader(Generic[AnyView]):
    """Decodes the fields of one model, one at a time.

    Decoding one field skips the rest of the text, which costs a sixth of decoding it all. What a field needs
    (a decoder that knows its key, and the converter's hook for its type) is worked out when it is first asked
    for.
    """

    def __init__(
        self,
        model: type[AnyView],
        converter: Callable[[], cattrs.Converter],
        unpickle: Callable[[type[AnyView]], FieldReader[AnyView]],
    ) -> None:
        self.model = model
        self._unpickle = unpickle
        self._converter = converter
        self._plans: dict[str, _Plan] = {}
        self._types: dict[str, Any] = {}
        self._known = frozenset(wire_keys(model).values())

    def view(self, wire: bytes) -> AnyView:
        """Make an object over the text of a JSON object, whose syntax was checked before."""
        return revive(self.model, wire, self, {}, set())

    def read(self, wire: bytes, name: str, /) -> Any:
        """Decode one field, through the hook of its type."""
        plan = self._plans.get(name)
        decode, hook, kind = self._make_plan(name) if plan is None else plan
        try:
            value = decode(wire).value
            # What already is of the documented type needs no conversion, so no hook stands between.
            return value if hook is None or value is None else hook(value, kind)
        except _UNREADABLE:
            return self._read_unusual(wire, name, kind)

    def unknown(self, wire: bytes, /) -> dict[str, Any]:
        """Decode the keys that the model does not know."""
        known = self._known
        try:
            return {key: decode_json(raw) for key, raw in wire_fields(wire).items() if key not in known}
        except _UNREADABLE as error:
            raise self._refuse("extra", str(error), wire) from None

    def raw(self, wire: bytes, /) -> dict[str, Any]:
        """Give every key with the text of its value."""
        return dict(wire_fields(wire))

    def _read_unusual(self, wire: bytes, name: str, kind: Any) -> Any:
        # A second look, with the literal text of a number, and the reason if there is no way to read it.
        try:
            raw = wire_fields(wire).get(wire_key(name))
            value = None if raw is None else plain_value(raw)
        except _UNREADABLE as error:
            raise self._refuse(name, str(error), wire) from None
        try:
            given = None if value is None else self._converter().get_structure_hook(kind)(value, kind)
        except _UNREADABLE as error:
            raise self._refuse(name, f"{_what(value)} is not {_type_name(kind)} ({error})", wire) from None
        if given is None and not _is_optional(self._types[name]):
            raise self._refuse(name, "it is not there", wire)
        return given

    def _refuse(self, name: str, reason: str, wire: bytes) -> InvalidResponseError:
        place = f"{self.model.__name__}.{name} (JSON key {wire_key(name)!r})"
        return InvalidResponseError(f"{place} cannot be read: {reason}", body=wire[:65536])

    def _make_plan(self, name: str) -> _Plan:
        keys = wire_keys(self.model)
        if name not in keys:
            raise AttributeError(f"{self.model.__name__} has no field {name!r}")
        if not self._types:
            self._types = get_type_hints(self.model)
        kind = _without_none(self._types[name])
        json_type, convert = _json_type(kind)
        hook = self._converter().get_structure_hook(kind) if convert else None
        if kind is str and hook is not None:
            hook = _but_for_zero(hook)
        if not _is_optional(self._types[name]):
            json_type = _without_none(json_type)
        plan = self._plans[name] = (_one_field(keys[name], json_type), hook, kind)
        return plan

    def __reduce__(self) -> tuple[Any, ...]:
        # A converter cannot be pickled; what is unpickled reads with the package's own.
        return self._unpickle, (self.model,)

    def __copy__(self) -> FieldReader[AnyView]:
        return self

    def __deepcopy__(self, memo: object) -> FieldReader[AnyView]:
        return self


def reader_of(converter: cattrs.Converter, model: type[AnyView]) -> FieldReader[AnyView]:
    """Give the reader that a configured converter holds for a model."""
    hook: Any = converter.get_structure_hook(model)
    reader: FieldReader[AnyView] = hook.reader
    return reader


def _one_field(key: str, json_type: Any) -> Callable[[bytes], Any]:
    field = ("value", json_type, None) if _is_optional(json_type) or json_type is msgspec.Raw else ("value", json_type)
    struct = msgspec.defstruct("OneField", [field], rename={"value": key}, gc=False)
    return msgspec.json.Decoder(struct).decode


def _is_optional(annotation: Any) -> bool:
    return NoneType in get_args(annotation)


def _without_none(annotation: Any) -> Any:
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return Union[tuple(kinds)] if kinds and get_origin(annotation) is not tuple else annotation  # noqa: UP007 - the kinds are known at run time only


def _json_type(kind: Any) -> tuple[Any, bool]:
    """Give the JSON type that is documented for a field, and whether a hook makes the field out of it."""
    if kind is str:
        # The samples have numbers where texts are documented too often to go the long way for them.
        return str | int | None, True
    if kind in {int, bool}:
        return kind | None, False
    if kind is Decimal:
        return Decimal | None, True
    if kind is datetime or is_open_enum(kind):
        return str | None, True
    if is_view_tuple(kind):
        return list[msgspec.Raw] | None, True
    # msgspec gives no Raw for `Raw | None`: the hook sees null as a text.
    return msgspec.Raw, True


def _but_for_zero(hook: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Send the number 0 the long way: an int does not tell whether it was written `0` or `-0`."""

    def wrapped(value: Any, kind: Any) -> Any:
        if type(value) is str:
            return value
        if value == 0:
            raise ValueError("0 or -0")
        return hook(value, kind)

    return wrapped


def is_open_enum(kind: Any) -> bool:
    """Tell whether a type is `SomeEnum | str`: the API's values, and any text besides."""
    kinds = get_args(kind)
    return str in kinds and any(isinstance(one, type) and issubclass(one, Enum) for one in kinds)


def is_view(kind: Any) -> bool:
    """Tell whether a type is a model over bytes."""
    return isinstance(kind, type) and issubclass(kind, WireView)


def is_view_or_decimal(kind: Any) -> bool:
    """Tell whether a type is `SomeModel | Decimal`."""
    kinds = get_args(kind)
    return get_origin(kind) is not tuple and Decimal in kinds and any(map(is_view, kinds))


def is_view_tuple(kind: Any) -> bool:
    """Tell whether a type is `tuple[SomeModel, ...]`."""
    return get_origin(kind) is tuple and is_view(get_args(kind)[0])


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _what(value: Any) -> str:
    if isinstance(value, NumberText):
        return "a number"
    if isinstance(value, msgspec.Raw):
        return "an object" if bytes(value).startswith(b"{") else "an array"
    return "a boolean" if isinstance(value, bool) else "a text"
