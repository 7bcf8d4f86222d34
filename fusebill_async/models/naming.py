"""The one place that maps a field's Python name to its key on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

_BRANDS = {"hubspot": "hubSpot", "quickbooks": "quickBooks"}
"""Brands that are one word in Python and two on the wire."""


def wire_key(name: str) -> str:
    """Give the key of a field: `company_name` is `companyName`, `hubspot_id` is `hubSpotId`."""
    first, *others = name.split("_")
    return _BRANDS.get(first, first) + "".join(word.capitalize() for word in others)


_found: dict[type[Any], Mapping[str, str]] = {}
"""What `wire_keys` has found; `functools.cache` would not let type checkers see the types."""


def wire_keys(model: type[attrs.AttrsInstance]) -> Mapping[str, str]:
    """Give every field of a model by its Python name, with its key on the wire, in the order of the class."""
    keys = _found.get(model)
    if keys is None:
        names = (field.name for field in attrs.fields(model))
        keys = MappingProxyType({name: wire_key(name) for name in names if name != "extra"})
        _found[model] = keys
    return keys
