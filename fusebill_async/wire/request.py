"""From an operation and its arguments to what goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.converting import encode
from fusebill_async.errors import ValidationError, shown
from fusebill_async.models import UNSET
from fusebill_async.operations import Operation, Parameter
from fusebill_async.wire.checks import is_object, is_several, plain_text

LARGEST_ID = 2**63 - 1
"""Ids are 64-bit integers at the service."""


@attrs.frozen
class Request:
    """One HTTP request, without host and key.

    Attributes:
        method: of HTTP.
        target: the encoded path and query under the base URL.
        body: None for none.
        headers: beside the client's own; those that the user adds may hold a secret.
    """

    method: str
    target: str = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False, hash=False)


def build_request(operation: Operation, customer_id: int | None = None, **arguments: Any) -> Request:
    """Build the request of an operation.

    Args:
        operation: the row of the table.
        customer_id: 1 to 2**63 - 1; it goes where the row says.
        arguments: the other parameters under their Python names; None leaves one out, or `UNSET` if the row says
            that its null means something.

    Raises:
        ValidationError: an argument that cannot be sent.
    """
    target = operation.path
    query: list[str] = []
    body: dict[str, Any] = {}
    for place, key, value in operation.fixed:
        if place == "body":
            body[key] = value
        else:
            query.append(f"{key}={_query_text(value)}")
    for parameter in operation.parameters:
        if parameter.name == "customer_id":
            number = str(check_id(customer_id))
            if parameter.place == "path":
                target = target.replace("{id}", number)
            else:
                body = {parameter.key: customer_id, **body}
            continue
        value = arguments.get(parameter.name, UNSET)
        if _left_out(parameter, value):
            if parameter.required:
                raise ValidationError(
                    f"{operation.title} needs {parameter.name}{_choices(parameter)}", field=parameter.name
                )
            continue
        if value is not None:
            value = _checked(parameter, value)
        if parameter.place == "body":
            body[parameter.key] = value
        elif parameter.key == "view":
            # `view` takes one word; False leaves the parameter out.
            if value:
                query.append("view=sideeffects")
        else:
            query.append(f"{parameter.key}={_query_text(value)}")
    if query:
        target += "?" + "&".join(query)
    return Request(operation.method, target, encode(body) if body else None)


def _left_out(parameter: Parameter, value: Any) -> bool:
    return value is UNSET or (value is None and not parameter.nullable)


def _checked(parameter: Parameter, value: Any) -> Any:
    match parameter.kind:
        case "bool":
            return check_flag(value, field=parameter.name)
        case "id":
            return check_id(value, field=parameter.name)
        case "ids":
            if not is_several(value):
                raise ValidationError(
                    f"{parameter.name} must be a list of ids, not {shown(value)}", field=parameter.name
                )
            ids = [check_id(item, field=parameter.name) for item in value]
            if not ids:
                # The service takes a list that is left out for all of them, so an empty one may mean anything.
                raise ValidationError(f"{parameter.name} is empty: give at least one id", field=parameter.name)
            return ids
        case "object":
            if not is_object(value) or not value:
                raise ValidationError(
                    f"{parameter.name} must be a dict by the API's names, not {shown(value)}", field=parameter.name
                )
            return value
        case _ if parameter.choices:
            return check_choice(value, parameter.choices, field=parameter.name)
        case _:
            return check_text(value, field=parameter.name)


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choices(parameter: Parameter) -> str:
    return f": one of {', '.join(parameter.choices)}" if parameter.choices else ""


def named_in_body(operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The body keys that the caller gave, for comparing a later read with what was sent."""
    return {
        parameter.key: arguments[parameter.name]
        for parameter in operation.parameters
        if parameter.place == "body" and not _left_out(parameter, arguments.get(parameter.name, UNSET))
    }


def check_id(value: Any, *, field: str = "customer_id") -> int:
    """An id as the service takes it: an int from 1 to 2**63 - 1, and nothing that merely looks like one."""
    if type(value) is int and 1 <= value <= LARGEST_ID:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationError(f"{field} must be an int, not {type(value).__name__} {shown(value)}", field=field)
    raise ValidationError(f"{field} must be from 1 to 2**63 - 1, not {shown(value)}", field=field)


def check_flag(value: Any, *, field: str) -> bool:
    """True or False."""
    if value is True or value is False:
        return value
    raise ValidationError(f"{field} must be True or False, not {shown(value)}", field=field)


def check_choice(value: Any, choices: tuple[str, ...], *, field: str) -> str:
    """One of the texts that the API page lists."""
    if isinstance(value, str) and value in choices:
        return plain_text(value)
    raise ValidationError(f"{field} must be one of {', '.join(choices)}, not {shown(value)}", field=field)


def check_text(value: Any, *, field: str) -> str:
    """A text that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise ValidationError(f"{field} must be a text that is not empty, not {shown(value)}", field=field)
