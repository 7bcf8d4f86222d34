"""`client.request`: any endpoint, under the same policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fusebill_async.converting import encode
from fusebill_async.errors import ValidationError, shown
from fusebill_async.operations import Operation, Safety
from fusebill_async.resources.core import ClientCore
from fusebill_async.session.call import Call
from fusebill_async.settling.response import Response, response_of
from fusebill_async.settling.write import Write
from fusebill_async.wire.raw_query import encode_query
from fusebill_async.wire.request import Request

_METHOD = re.compile(r"[A-Za-z]{1,20}")
_NEVER_SENT = frozenset({"CONNECT", "TRACE"})
"""Methods that are for proxies."""
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, as HTTP has it. Any other one may move money."""
_PATH = re.compile(r"(/[\w.~!$&'()*+,;=:@%-]+)+/?", re.ASCII)


async def send_request(
    core: ClientCore, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None
) -> Response[Any]:
    """Send a request to any endpoint; see `FusebillClient.request`."""
    given_method: Any = method
    given_path: Any = path
    if not isinstance(given_method, str) or not _METHOD.fullmatch(method) or method.upper() in _NEVER_SENT:
        raise ValidationError(f"method must be like GET, POST or PATCH, not {shown(method)}", field="method")
    verb = method.upper()
    if not isinstance(given_path, str) or not _PATH.fullmatch(path) or "/../" in f"{path}/":
        raise ValidationError(f"path must be like /customers/42/subscriptions, not {shown(path)}", field="path")
    text = encode_query(query)
    target = f"{path}?{text}" if text else path
    operation = Operation(
        name="request",
        resource="client",
        method=verb,
        path=path,
        safety=Safety.READ if verb in _READS else Safety.MONEY,
        answer="any",
    )
    call = Call(operation, None, Request(verb, target, None if body is None else encode(body)), core.options)
    if operation.writes:
        return await core.writer.write(Write(call, {}, resend=False))
    return response_of(await core.session.read(call))
