"""What is checked of a key, a base URL and a filter, and what of a JSON value, before anything is sent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard, cast
from urllib.parse import urlsplit

from yarl import URL

from fusebill_async.errors import ConfigurationError, ValidationError, shown
from fusebill_async.wire.redact import HiddenText

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

EMPTY = "[empty]"
"""A list's query has this word for null or an empty text."""

_RESERVED = ":;,|"
"""What a text in such a query cannot hold."""


_NO_CHARACTERS = frozenset({"Cc", "Cs"})
"""Control characters, and halves of surrogate pairs. Any other character, a no-break space or a joiner too, can be
percent-encoded."""


_OURS = frozenset(
    {
        *("accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length"),
        *("content-type", "cookie", "expect", "host", "keep-alive", "proxy-authorization", "range", "te", "trailer"),
        *("transfer-encoding", "upgrade", "x-http-method", "x-http-method-override", "x-method-override"),
    }
)
"""Headers that the client or the connection sets, or that make another request of it."""

_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


def plain_text(value: str) -> str:
    """A text as it is; of an enum whose members are texts, the value."""
    return str.__str__(value)


def check_key(key: HiddenText) -> HiddenText:
    """An API key that can stand in a header. Neither the error nor a frame of its traceback shows the key."""
    if key.kind is not str:
        raise ConfigurationError(f"the API key must be a str, not {key.kind.__name__}")
    if not key:
        raise ConfigurationError(
            "the API key is empty: make one in Stax Bill under Settings > Integrations > API Key, "
            "and pass it to FusebillClient or set FUSEBILL_API_KEY"
        )
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise ConfigurationError(
            "the API key begins or ends with a space, or holds a line break or another character that cannot stand "
            "in a header: "
            "copy it again, without what surrounds it"
        )
    if key.lower().startswith("basic "):
        raise ConfigurationError('the API key begins with "Basic": give the key alone, the client adds the scheme')
    return key


def check_headers(headers: Any) -> dict[str, str]:
    """Extra headers for each request. An error shows no value, nor what is no name: either may hold a secret."""
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers= must be a dict of names and texts, not {type(headers).__name__}")
    given = cast("Mapping[Any, Any]", headers)  # type: ignore[redundant-cast]
    for name, text in given.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError("headers= has a name that cannot be a header's: use letters, digits and hyphens")
        if name.lower() in _OURS:
            raise ConfigurationError(f"headers= cannot set {name}: the client sets it itself, or cannot work with it")
        if not isinstance(text, str) or not (text.isascii() and text.isprintable()):
            raise ConfigurationError(f"headers= must have a text of printable ASCII characters for {name}")
    return {plain_text(name): plain_text(text) for name, text in given.items()}


def check_base_url(base_url: Any, *, allow_http: bool = False) -> str:
    """A base URL that ends in `/v1`, with https unless that is allowed or a loopback host. No slash at its end."""
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url must be a str, not {type(base_url).__name__}")
    if "@" in base_url:
        # Nothing of it is shown: what stands before the @ may be a key.
        raise ConfigurationError("base_url holds a user or a password: give the API key as the first argument")
    try:
        parts = urlsplit(base_url.rstrip("/"))
        port = parts.port
        URL(base_url)
    except ValueError as error:
        raise ConfigurationError(f"base_url {shown(base_url)} is not a URL: {error}") from None
    if (
        not base_url.isprintable()
        or " " in base_url
        or not parts.hostname
        or parts.scheme not in {"http", "https"}
        or port == 0
    ):
        raise ConfigurationError(f"base_url must be like https://secure.fusebill.com/v1, not {shown(base_url)}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK_HOSTS and not allow_http:
        raise ConfigurationError(
            f"base_url {shown(base_url)} would send the API key unencrypted: "
            "use https (http is for a loopback host, or for a network of your own with allow_http=True)"
        )
    if parts.query or parts.fragment or not parts.path.endswith("/v1"):
        raise ConfigurationError(
            f"base_url must end in /v1, as in https://secure.fusebill.com/v1, not {shown(base_url)}"
        )
    return base_url.rstrip("/")


def check_filter_text(value: str, *, field: str, wildcard: bool = True) -> str:
    """A text that can stand in a query.

    Raises:
        ValidationError: it holds a character that cannot be escaped.
    """
    if not value:
        raise ValidationError(f"{field} is an empty text: None finds what is empty", field=field)
    if value.lower() == EMPTY:
        raise ValidationError(f"{field} is the query's own word for empty: use None", field=field)
    reserved = _RESERVED if wildcard else _RESERVED + "*"
    held = [one for one in value if one in reserved or unicodedata.category(one) in _NO_CHARACTERS]
    if held:
        raise ValidationError(
            f"{field} holds {held[0]!r}, which the service's queries cannot escape: {shown(value)}", field=field
        )
    return value


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, Mapping)


def is_array(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a JSON array."""
    return isinstance(value, (list, tuple))


def is_several(value: Any) -> TypeGuard[Iterable[Any]]:
    """Whether it gives several values: no text, no bytes and no object."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping))
