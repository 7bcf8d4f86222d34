"""`client.request`: any endpoint, under the same policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from fusebill_async.converting import encode
from fusebill_async.errors import ValidationError
from fusebill_async.operations import Operation, Safety
from fusebill_async.resources.handle import Handle
from fusebill_async.session.call import Call
from fusebill_async.settling.response import Response, response_of
from fusebill_async.settling.write import Write
from fusebill_async.wire.request import Request

_VERBS: Mapping[str, Literal["GET", "POST", "PUT", "DELETE"]] = {
    "GET": "GET",
    "POST": "POST",
    "PUT": "PUT",
    "DELETE": "DELETE",
}
_PATH = re.compile(r"(/[\w.~!$&'()*+,;=:@%-]+)+/?", re.ASCII)


async def send_request(
    handle: Handle, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None
) -> Response[Any]:
    """Send a request to any endpoint; see `FusebillClient.request`."""
    verb = _VERBS.get(str(method).upper())
    if verb is None:
        raise ValidationError(f"method must be GET, POST, PUT or DELETE, not {method!r}", field="method")
    if not _PATH.fullmatch(str(path)) or "/../" in f"{path}/":
        raise ValidationError(f"path must be like /customers/42/subscriptions, not {path!r}", field="path")
    target = path + ("?" + urlencode({key: _text(value) for key, value in query.items()}) if query else "")
    operation = Operation(
        name="request",
        resource="client",
        method=verb,
        path=path,
        safety=Safety.READ if verb == "GET" else Safety.MONEY,
        answer="json",
    )
    call = Call(operation, None, Request(verb, target, None if body is None else encode(body)), handle.options)
    if operation.writes:
        return await handle.settler.write(Write(call, {}, resend=False))
    return response_of(call, await handle.session.send(call))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
