"""What worker and jobs have in common: how streaq is loaded, and how messages are written."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from fusebill_async.converting import decode_json, encode
from fusebill_async.errors import ConfigurationError

QUEUE = "fusebill"
"""The name of the queue, if nothing else is said."""
ORDER = "bulk.order"
"""The task that carries out an item of a job."""
KEEP_RESULTS = 3600
"""Seconds for which the engine keeps what a task has returned."""

_PASSWORD = re.compile(r"://[^@/]*@")


def new_engine(url: str, queue: str, **options: Any) -> Any:
    """A `streaq.Worker`, which gives messages to the queue, and takes them from it.

    Args:
        url: of the Redis.
        queue: its name.
        options: as streaq takes them.

    Raises:
        ConfigurationError: streaq is not installed, or a URL that cannot work.
    """
    try:
        streaq = import_module("streaq")
    except ImportError:
        raise ConfigurationError("workers need streaq: pip install 'fusebill-async[worker]'") from None
    if not str(url).startswith(("redis://", "rediss://", "unix://")):
        raise ConfigurationError("a queue is named by a URL that begins with redis://, rediss:// or unix://")
    return streaq.Worker(redis_url=url, queue_name=queue, serializer=_written, deserializer=_read, **options)


def shown_url(url: str) -> str:
    """A URL without its password."""
    return _PASSWORD.sub("://", url)


def _written(message: dict[str, Any]) -> str:
    result = message.get("r")
    if isinstance(result, BaseException):
        # The engine's own, such as that it was aborted. Ours stand in answers.
        message = {**message, "r": f"{type(result).__name__}: {result}"}
    return encode(message).decode()


def _read(text: str) -> Any:
    return decode_json(text.encode())
