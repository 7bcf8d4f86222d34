"""`client.request` and `client.download`: any endpoint, under the same policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from fusebill_async.converting import encode
from fusebill_async.errors import ValidationError, shown
from fusebill_async.operations import REQUEST, Safety
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
    core: ClientCore,
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    idempotency_key: str | None = None,
) -> Response[Any]:
    """Send a request to any endpoint; see `FusebillClient.request`."""
    given_method: Any = method
    if not isinstance(given_method, str) or not _METHOD.fullmatch(method) or method.upper() in _NEVER_SENT:
        raise ValidationError(f"method must be like GET, POST or PATCH, not {shown(method)}", field="method")
    verb, target = method.upper(), _target(path, query)
    operation = attrs.evolve(REQUEST, method=verb, path=path, safety=Safety.READ if verb in _READS else Safety.MONEY)
    request = Request(verb, target, None if body is None else encode(body))
    call = Call(operation, None, request, core.options)
    if operation.writes:
        key = core.key_of(idempotency_key, operation, None, request)
        return await core.writing.writer.write(Write(call, {}, resend=False, key=key))
    if idempotency_key is not None:
        raise ValidationError(f"{verb} changes nothing, so it takes no idempotency_key", field="idempotency_key")
    return response_of(await core.session.read(call))


async def download(core: ClientCore, path: str, *, query: Mapping[str, Any] | None = None) -> Response[bytes]:
    """Give the body of a GET as it came; see `FusebillClient.download`."""
    target = _target(path, query)
    operation = attrs.evolve(REQUEST, name="download", method="GET", path=path, safety=Safety.READ, answer="bytes")
    request = Request("GET", target, headers={"Accept": "*/*"})
    return response_of(await core.session.read(Call(operation, None, request, core.options)))


def _target(path: Any, query: Mapping[str, Any] | None) -> str:
    if not isinstance(path, str) or not _PATH.fullmatch(path) or "/../" in f"{path}/":
        raise ValidationError(f"path must be like /customers/42/subscriptions, not {shown(path)}", field="path")
    text = encode_query(query)
    return f"{path}?{text}" if text else path
