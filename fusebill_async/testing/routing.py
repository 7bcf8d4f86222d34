"""Which operation of the table a request asks for, about whom, and with which parameters."""

from __future__ import annotations

from typing import Final

import attrs

from fusebill_async import operations as table
from fusebill_async.operations import Operation
from fusebill_async.testing.customers import NULL, text_of
from fusebill_async.testing.messages import NotAnObjectError, Request
from fusebill_async.testing.refusals import RefusedError, api_error

PREFIX: Final = "/v1"

_TAKEN_AS_FALSE: Final = frozenset({"activateAllDraftPurchases", "temporarilyDisableAutoPost"})
"""The page calls them required, and a shop activates in production without them (FACTS 5)."""


@attrs.frozen
class Route:
    """The operations that share a method and a path; previews differ by a fixed parameter only."""

    operation: Operation
    preview: Operation | None = None


def _routes() -> dict[tuple[str, str], Route]:
    routes: dict[tuple[str, str], Route] = {}
    for operation in table.OPERATIONS:
        key = (operation.method, operation.path.lower())
        first = routes.get(key)
        if first is None:
            routes[key] = Route(operation)
        elif operation.fixed:
            routes[key] = Route(first.operation, operation)
    return routes


_ROUTES: Final = _routes()
_PATHS: Final = {path for _, path in _ROUTES}


def _id_key(operation: Operation) -> str | None:
    for parameter in operation.parameters:
        if parameter.kind == "id" and parameter.name == "customer_id" and parameter.place == "body":
            return parameter.key.lower()
    return None


ID_KEYS: Final = {operation.title: _id_key(operation) for operation in table.OPERATIONS}


def identify(request: Request) -> None:
    """Note on the request which operation it asks for, and for which customer."""
    route, in_path = _find(request.method, request.path.lower())
    if route is None:
        return
    operation = route.operation
    if route.preview is not None and _asks(request, route.preview):
        operation = route.preview
    request.operation = operation.title
    request.customer_id = _whole(in_path) if in_path else _id_in_body(request, ID_KEYS[operation.title])


def _find(method: str, path: str) -> tuple[Route | None, str]:
    """Return the route of a path in lower case, and the id that stands in it."""
    if not path.startswith(PREFIX + "/"):
        return None, ""
    path = path[len(PREFIX) :].rstrip("/")
    route = _ROUTES.get((method, path))
    if route is not None:
        return route, ""
    before, _, last = path.rpartition("/")
    route = _ROUTES.get((method, before + "/{id}"))
    if route is not None:
        return route, last
    before, _, identifier = before.rpartition("/")
    route = _ROUTES.get((method, f"{before}/{{id}}/{last}"))
    return route, identifier if route else ""


def is_known(path: str) -> bool:
    """Say whether a path in lower case belongs to the table, whatever the method."""
    return any(_find(method, path)[0] for method in ("GET", "POST", "PUT"))


def _whole(text: str) -> int | None:
    # int() takes "1_0", " 1 " and digits of other scripts too; a path does not. The service's ids are int64.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _id_in_body(request: Request, key: str | None) -> int | None:
    if key is None:
        return None
    try:
        return _whole(text_of(request.fields.get(key, NULL)))
    except NotAnObjectError:
        # The answer will say so; here it only means that nobody is named.
        return None


def _asks(request: Request, preview: Operation) -> bool:
    """Say whether the fixed parameters that make a request a preview are there."""
    for place, key, _ in preview.fixed:
        if place == "query":
            if request.options.get(key.lower(), "").lower() != "true":
                return False
        elif not body_flag(request, key):
            return False
    return True


def body_flag(request: Request, key: str) -> bool:
    """Say whether a key of the body is true."""
    if not request.body:
        return False
    try:
        return text_of(request.fields.get(key.lower(), NULL)).lower() == "true"
    except NotAnObjectError:
        return False


def check_parameters(operation: Operation, request: Request, *, preview: bool) -> None:
    """Refuse a body in which something required is missing, or a choice that the page does not offer."""
    errors: list[tuple[str, str]] = []
    for parameter in operation.parameters:
        if parameter.place != "body" or parameter.name == "customer_id":
            continue
        given = text_of(request.fields.get(parameter.key.lower(), NULL))
        may_be_missing = (preview and parameter.kind == "bool") or parameter.key in _TAKEN_AS_FALSE
        if parameter.required and not given and not may_be_missing:
            errors.append((parameter.key, f"{parameter.key} is required."))
        elif given and parameter.choices and given.lower() not in {choice.lower() for choice in parameter.choices}:
            errors.append((parameter.key, f"{given} is not valid for {parameter.key}."))
    if errors:
        raise RefusedError(api_error(400, *errors))
