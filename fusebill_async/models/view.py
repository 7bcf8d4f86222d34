"""What every model is: a view over the bytes that came, which decodes a field when it is asked for.

A slot that is still empty makes Python call `__getattr__`; that is the only place where a field is decoded,
and the slot keeps what it gave. A caller who looks at three fields pays for three, and the bytes stay for the
PUT that gives them back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeAlias, TypeGuard, TypeVar, cast

import attrs

from fusebill_async.errors import InvalidResponseError, ValidationError, shown
from fusebill_async.models.naming import wire_keys

AnyView = TypeVar("AnyView", bound="WireView")


class Unset(Enum):
    """The type of `UNSET`. An enum, because its member stays the same object when it is pickled or copied."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final[Any] = Unset.UNSET
"""The default of every field. `Any` to type checkers, so that a field shows the type that it reads as."""


class Reader(Protocol):
    """What decodes the fields of one model. `converting` hands it to each object that it makes."""

    def read(self, wire: bytes, name: str, /) -> Any:
        """Decode one field; None if the key is absent, AttributeError if the model has no such field."""
        ...

    def unknown(self, wire: bytes, /) -> dict[str, Any]:
        """Decode the keys that the model does not know."""
        ...

    def raw(self, wire: bytes, /) -> dict[str, Any]:
        """Give every key with the text of its value."""
        ...


Origin: TypeAlias = tuple[bytes | None, Reader | None, set[str]]
"""Where an object comes from: its wire, what reads it, and the fields that were named."""


class WireView:  # noqa: PLW1641 (its fields can be assigned, so it has no hash)
    """The base of the models.

    It remembers which fields were named: given to the constructor, or assigned. What came is not named.
    """

    __slots__ = {  # noqa: RUF023 (a mapping gives the slot its docstring)
        "wire": "The JSON text that this was made from, as it came; None for an object made by hand.",
        "_reader": None,
        "_named": None,
    }

    if TYPE_CHECKING:
        __attrs_attrs__: ClassVar[Any]
        extra: Mapping[str, Any]
        wire: bytes | None
        _reader: Reader | None
        _named: set[str]

    def __wire_origin__(self) -> Origin:
        """For the package's own use; the name cannot meet a field's."""
        return self.wire, self._reader, self._named

    def __attrs_pre_init__(self) -> None:
        # Until the constructor is through, the wire is UNSET: `extra` may still bring one along.
        _set_wire(self, UNSET)
        _set_reader(self, None)
        _set_named(self, set())

    def __attrs_post_init__(self) -> None:
        _set_wire(self, None)
        extra = filled(self, "extra")
        if isinstance(extra, Extra):
            _adopt(self, extra)
        elif extra is not UNSET:
            _fill(self, "extra", _given_extra(self, extra))

    # Type checkers see the annotated fields only, so that a misspelt name is found by them.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name[0] == "_":
                if name == "_named":
                    # An object from the wire gets its set when it is first needed: most are only read.
                    named = set()
                    _set_named(self, named)
                    return named
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            if name == "extra":
                return Extra(self.wire, self._reader, self._named)
            reader = self._reader
            if reader is None:
                if name in wire_keys(type(self)):
                    return None
                raise AttributeError(f"{type(self).__name__} has no field {name!r}")
            value = reader.read(self.wire, name)
            _fill(self, name, value)
            return value

        def __setattr__(self, name: str, value: Any) -> None:
            if value is UNSET:
                self.__delattr__(name)
                return
            if name == "extra":
                if self.wire is not UNSET:
                    value = _given_extra(self, value)
            elif name not in wire_keys(type(self)):
                raise AttributeError(f"{type(self).__name__} has no field {name!r} that can be set")
            _fill(self, name, value)
            self._named.add(name)

        def __delattr__(self, name: str) -> None:
            # What was set is forgotten: the field reads as the wire has it.
            if name == "wire":
                raise AttributeError("the wire of an object is what it came with")
            if filled(self, name) is not UNSET:
                object.__delattr__(self, name)
            self._named.discard(name)

    def to_dict(self) -> dict[str, Any]:
        """Give every field by its Python name, with dicts for the objects in it; unknown keys are under `extra`.

        Values are those of the fields: money is `Decimal`, a time a `datetime`. For JSON:
        `json.dumps(customer.to_dict(), default=str)`.

        Raises:
            InvalidResponseError: the service sent something that cannot be one of the fields.
        """
        fields = {name: _plain(getattr(self, name)) for name in wire_keys(type(self))}
        return {**fields, "extra": dict(self.extra)}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in (*wire_keys(type(self)), "extra"))

    def __repr__(self) -> str:
        """Show id and status where there are any: the rest may be about a person, and reprs end up in logs."""
        parts = [f"{name}={value}" for name, value in _shown_fields(self) if value != "None"]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        named = self._named
        values: dict[str, Any] = {}
        for name in wire_keys(type(self)):
            value = filled(self, name)
            # The rest is in the wire. A nested object goes along because a field of it may have been named.
            if name in named or isinstance(value, (WireView, tuple, list)):
                values[name] = value
        if "extra" in named:
            values["extra"] = dict(self.extra)
        return revive, (type(self), self.wire, self._reader, values, set(named))


# The slots' own setters, past `__setattr__`: what comes from the wire is not named by anybody.
_fill = object.__setattr__
_set_wire: Any = WireView.__dict__["wire"].__set__
_set_reader: Any = WireView.__dict__["_reader"].__set__
_set_named: Any = WireView.__dict__["_named"].__set__


@attrs.define(eq=False, repr=False, getstate_setstate=False)
class Extra(Mapping[str, Any]):
    """The keys of an object that its model does not know, decoded when first asked for.

    It also holds where the object came from. `attrs.evolve` builds the new object from the values of the old
    one alone, and this is the value through which the wire and the named fields get there.
    """

    _wire: bytes | None
    _reader: Reader | None
    _named: set[str]
    _values: dict[str, Any] | None = None

    def _decoded(self) -> dict[str, Any]:
        values = self._values
        if values is None:
            values = {} if self._wire is None or self._reader is None else self._reader.unknown(self._wire)
            self._values = values
        return values

    def __getitem__(self, key: str) -> Any:
        return self._decoded()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded())

    def __len__(self) -> int:
        return len(self._decoded())

    def __repr__(self) -> str:
        return repr(self._decoded())

    def __reduce__(self) -> tuple[Any, ...]:
        return Extra, (self._wire, self._reader, set(self._named), self._values)

    def origin(self) -> Origin:
        """Give what the object came from."""
        return self._wire, self._reader, self._named


def _plain(value: Any) -> Any:
    if isinstance(value, WireView):
        return value.to_dict()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return value


def filled(view: WireView, name: str) -> Any:
    """Give what a field's slot holds, decoding nothing; `UNSET` if it is empty."""
    slot = getattr(type(view), name, None)
    try:
        return UNSET if slot is None else slot.__get__(view)
    except AttributeError:
        return UNSET


def revive(
    model: type[AnyView],
    wire: bytes | None,
    reader: Reader | None,
    values: Mapping[str, Any],
    named: set[str],
) -> AnyView:
    """Make an object over a wire, with values for some of its fields; `named` count as named."""
    view = model.__new__(model)
    _set_wire(view, wire)
    _set_reader(view, reader)
    if named:
        _set_named(view, set(named))
    for name, value in values.items():
        _fill(view, name, _given_extra(view, value) if name == "extra" else value)
    return view


def _has_text_keys(values: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(values, Mapping) and all(isinstance(key, str) for key in cast("Mapping[Any, Any]", values))  # type: ignore[redundant-cast]


def _given_extra(view: WireView, values: Any) -> Extra:
    if not _has_text_keys(values):
        raise ValidationError(f"extra must be a dict with texts as keys, not {shown(values)}", field="extra")
    known = set(wire_keys(type(view)).values()).intersection(values)
    if known:
        fields = ", ".join(sorted(known))
        raise ValidationError(f"extra holds fields of {type(view).__name__}: {fields}", field="extra")
    return Extra(*view.__wire_origin__(), dict(values))


def _adopt(view: WireView, extra: Extra) -> None:
    """Let a new object take over the origin of the one that it was made from.

    Only `attrs.evolve` gives every field. A caller who hands over `extra` with some fields wants the unknown
    keys alone, not the rest of another object.
    """
    keys = wire_keys(type(view))
    _, _, named = view.__wire_origin__()
    if not named.issuperset(keys):
        _fill(view, "extra", _given_extra(view, dict(extra)))
        return
    wire, reader, named_before = extra.origin()
    _set_wire(view, wire)
    _set_reader(view, reader)
    before = revive(type(view), wire, reader, {}, set())
    for name in keys:
        value = getattr(view, name)
        if isinstance(value, WireView):
            # What is set in the new object's part must not show in the old one's.
            _fill(view, name, copy(value))
        if name not in named_before and value == getattr(before, name):
            named.discard(name)
            if wire is None:
                object.__delattr__(view, name)
    if "extra" in named_before:
        _fill(view, "extra", _given_extra(view, dict(extra)))
    else:
        object.__delattr__(view, "extra")
        named.discard("extra")


def _shown_fields(view: WireView) -> Iterator[tuple[str, str]]:
    for name in ("id", "status"):
        if name not in wire_keys(type(view)):
            continue
        try:
            yield name, repr(getattr(view, name))
        except InvalidResponseError:
            yield name, "<unreadable>"
