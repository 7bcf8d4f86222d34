"""Fields on the command line: `company_name="Grok Ltd" customer_reference.reference1=A-1`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from fusebill_async.converting import UnreadableAnswer, decode_json
from fusebill_async.errors import ValidationError
from fusebill_async.models import Customer, CustomerAcquisition, CustomerReference, wire_keys
from fusebill_async.models.view import WireView
from fusebill_async.operations import Parameter

_NESTED: Mapping[str, type[WireView]] = {
    "customer_reference": CustomerReference,
    "customer_acquisition": CustomerAcquisition,
}


def read_fields(assignments: Iterable[str], nulls: Iterable[str] = ()) -> dict[str, Any]:
    """Give the fields that a command line names, nested ones as dicts.

    Args:
        assignments: such as "company_name=Grok Ltd"; nothing after the sign is an empty text.
        nulls: fields to erase.

    Raises:
        ValidationError: no sign, a field that is named twice, or a value that its field cannot hold.
    """
    fields: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise ValidationError(f"{assignment!r} is no field=value", field=assignment)
        _put(fields, name, text)
    for name in nulls:
        _put(fields, name, None)
    return fields


def fields_of(cells: Iterable[tuple[str, str | None]]) -> dict[str, Any]:
    """Give the fields that a row of a file names, nested ones as dicts.

    Args:
        cells: names of fields, and their texts; None erases one.

    Raises:
        ValidationError: a field that is named twice, or a value that its field cannot hold.
    """
    fields: dict[str, Any] = {}
    for name, text in cells:
        _put(fields, name, text)
    return fields


def _put(fields: dict[str, Any], given: str, text: str | None) -> None:
    outer, _, inner = given.partition(".")
    name = _python_name(Customer, outer)
    nested = _NESTED.get(name)
    if not inner:
        if name in fields:
            raise _twice(given)
        if nested is not None and text is not None:
            raise ValidationError(f"{name} holds fields of its own: {name}.FIELD=value", field=name)
        fields[name] = None if text is None else _value(Customer, name, name, text)
        return
    within = fields.setdefault(name, {})
    inner = inner if nested is None else _python_name(nested, inner)
    path = f"{name}.{inner}"
    if within is None or inner in within:
        raise _twice(given)
    if nested is None:
        raise ValidationError(f"{name} has no fields of its own", field=path)
    within[inner] = None if text is None else _value(nested, inner, path, text)


def _twice(name: str) -> ValidationError:
    return ValidationError(f"{name} is named twice", field=name)


def _python_name(model: type[Any], given: str) -> str:
    """A field's Python name; the API's own spelling is taken, too. What is no field is the client's to refuse."""
    keys = wire_keys(model)
    spelt = given.replace("-", "_")
    return next((name for name, key in keys.items() if spelt in {name, key}), spelt)


_KINDS: dict[type[Any], dict[str, str]] = {}


def _kind(model: type[Any], name: str) -> str:
    """The type of a model's field, in words."""
    if model not in _KINDS:
        _KINDS[model] = {each: str(kind) for each, kind in get_type_hints(model).items()}
    return _KINDS[model].get(name, "str")


def _value(model: type[Any], name: str, path: str, text: str) -> Any:
    kind = _kind(model, name)
    if "tuple" in kind:
        return _parsed(text, path, list, 'a JSON list, such as [{"type": "...", "code": "..."}]')
    if "bool" in kind:
        return _parsed(text, path, bool, "true or false")
    if "str" in kind:
        return text
    return _parsed(text, path, int, "a whole number") if "int" in kind else text


def _parsed(text: str, path: str, kind: type, wanted: str) -> Any:
    try:
        value = decode_json(text.encode())
    except UnreadableAnswer:
        value = None
    if type(value) is not kind:
        raise ValidationError(f"{path} must be {wanted}, not {text!r}", field=path)
    return value


def option_value(parameter: Parameter, text: str) -> Any:
    """The value of an operation's parameter that stands in a cell.

    Raises:
        ValidationError: the parameter cannot hold it.
    """
    match parameter.kind:
        case "bool":
            return _parsed(text.strip().lower(), parameter.name, bool, "true or false")
        case "id":
            return _parsed(text.strip(), parameter.name, int, "a whole number")
        case "ids":
            return _parsed(f"[{text.strip(' []')}]", parameter.name, list, "ids with commas between them")
        case "object":
            return _parsed(text, parameter.name, dict, "a JSON object")
        case _:
            return text
