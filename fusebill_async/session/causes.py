"""Why a request got no answer, in words: what happened, and what to do about it.

The words never hold the key: they are made of what the system and the TLS library say, of an error's type, and never of
its `repr` or of bytes that came, which may show the request's headers.
"""

from __future__ import annotations

import errno
import re
import ssl

import aiohttp
import attrs
from aiohttp.client_exceptions import ClientConnectorDNSError
from aiohttp.http_exceptions import ContentEncodingError

_TOO_LONG = re.compile(r"more than (\d+) bytes")


@attrs.frozen
class Cause:
    """Why there is no answer.

    Attributes:
        reason: in words.
        lasting: the next attempt would meet it again, so there is none.
        timed_out: a limit of time ended it.
    """

    reason: str
    lasting: bool = False
    timed_out: bool = False


def cause_of(error: BaseException) -> Cause:
    """What an error of aiohttp, or of the system under it, means."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return Cause("none came about in time, see Timeouts(connect=)", timed_out=True)
        case TimeoutError():
            return Cause("a limit of time was reached", timed_out=True)
        case aiohttp.ClientConnectorCertificateError():
            told = getattr(error.certificate_error, "verify_message", "") or _said(error.certificate_error)
            return Cause(
                f"the certificate of {error.host} was not accepted: {told.rstrip('.')}. Check base_url, the clock of "
                "this machine and the certificates that it trusts",
                lasting=True,
            )
        case aiohttp.ServerFingerprintMismatch():
            return Cause(
                f"the certificate of {error.host} is not the one that the session's connector wants", lasting=True
            )
        case aiohttp.ClientProxyConnectionError():
            return Cause(f"the proxy was not reached: {_said(error.os_error)}")
        case aiohttp.ClientHttpProxyError():
            return Cause(f"the proxy makes no connection: it answered {error.status}")
        case aiohttp.ClientConnectorError():
            return _not_connected(error)
        case aiohttp.ServerDisconnectedError():
            return Cause("the service closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            broken = isinstance(error.__cause__, ContentEncodingError)
            return Cause("the answer could not be decompressed" if broken else "the connection ended within the answer")
        case aiohttp.ClientResponseError():
            return Cause(_not_http(error.message))
        case aiohttp.ClientConnectionError() if type(error) is aiohttp.ClientConnectionError:
            # The words are aiohttp's own, such as "Connector is closed."
            return Cause(f"the connection failed: {error}")
        case OSError():
            lost = "the connection was lost" if isinstance(error, aiohttp.ClientOSError) else "the system refused"
            return Cause(f"{lost}: {_said(error)}")
        case _:
            return Cause(type(error).__name__)


def _not_connected(error: aiohttp.ClientConnectorError) -> Cause:
    system = error.os_error
    if isinstance(error, ClientConnectorDNSError):
        return Cause(f"the name {error.host} was not found: {_said(system)}. Check base_url and the network")
    if isinstance(system, ssl.SSLError):
        return Cause(f"{error.host} and this machine agree on no TLS connection: {_said(system)}")
    if isinstance(system, ConnectionRefusedError):
        return Cause(f"nobody takes connections at {error.host}, port {error.port}. Check base_url")
    if isinstance(system, ConnectionError):
        told = f": {system.strerror}" if system.strerror else ""
        return Cause(f"{error.host} ended the connection while it was made{told}")
    if system.errno in {errno.EMFILE, errno.ENFILE}:
        return Cause(f"this process has no file left for a connection: {_said(system)}")
    return Cause(f"no connection to {error.host}: {_said(system)}")


def _not_http(message: str) -> str:
    """What aiohttp's parser found wrong. Its message shows what came, so only the kind is told."""
    hint = "a session= whose max_line_size, max_field_size and max_headers are larger takes it"
    if found := _TOO_LONG.search(message):
        return f"a line of the answer's head is longer than {found[1]} bytes: {hint}"
    if "Too many headers" in message:
        return f"the answer has too many headers: {hint}"
    return "what came is no HTTP answer"


def _said(error: BaseException) -> str:
    """The system's or the TLS library's own words."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
