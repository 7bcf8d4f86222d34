"""streaq, as worker and jobs use it: how it is loaded, and how messages are written."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fusebill_async.converting import decode_json, encode
from fusebill_async.errors import ConfigurationError

QUEUE = "fusebill"
ORDER = "bulk.order"
"""The task that carries out an item of a job."""


def new_engine(url: str, queue: str, **options: Any) -> Any:
    """A `streaq.Worker`, which gives messages to the queue, and takes them from it.

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


def _written(message: dict[str, Any]) -> str:
    # An error is the engine's own, such as that a task was aborted. Ours stand in answers.
    plain = {key: str(value) if isinstance(value, BaseException) else value for key, value in message.items()}
    return encode(plain).decode()


def _read(text: str) -> Any:
    return decode_json(text.encode())
