"""The service of the benchmarks: answers at once, and costs as little as a Python server can.

Every POST to /v1/CustomerHold/{id} is answered with the sample's customer under the id that was asked, in its
compact form, with the quota headers and `Date` that the service sends. It runs in a process of its own, so that its
work is not counted as the client's: `python -m benchmarks.server`, or `running()` from another benchmark.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import cast

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests" / "samples" / "customer_hold_200.json"
PER_MINUTE = 100_000_000
"""A quota that holds nobody back: what is measured is the client, not its waiting."""
_ID = "12000750"
_TRUSTED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Where OpenSSL and httpx look for certificates, and where requests does."""


def body_of(customer_id: int | str) -> bytes:
    """Give the sample's customer under another id, compact as the service sends it."""
    return json.dumps(json.loads(SAMPLE.read_bytes()), separators=(",", ":")).replace(_ID, str(customer_id)).encode()


class Answers:
    """Whole answers, but for the id."""

    def __init__(self) -> None:
        self._parts = body_of("\0").split(b"\0")
        self._fixed = sum(map(len, self._parts))
        self._second = 0
        self._head = b""
        self.count = 0

    def tick(self) -> None:
        """Tell the time and what is left of the quota. Once a tenth of a second is exact enough."""
        now = time.time()
        minute = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now // 60 * 60 + 60))
        day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now // 86_400 * 86_400 + 86_400))
        self._head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Date: {formatdate(now, usegmt=True)}\r\n"
            f"X-Rate-Limit-Limit-Minute: {PER_MINUTE}\r\nX-Rate-Limit-Remaining-Minute: {PER_MINUTE - self.count}\r\n"
            f"X-Rate-Limit-Reset-Minute: {minute}\r\n"
            f"X-Rate-Limit-Limit-Day: {100 * PER_MINUTE}\r\n"
            f"X-Rate-Limit-Remaining-Day: {100 * PER_MINUTE - self.count}\r\n"
            f"X-Rate-Limit-Reset-Day: {day}\r\nContent-Length: "
        ).encode()

    def answer(self, customer_id: bytes) -> bytes:
        """Give the answer about a customer."""
        self.count += 1
        length = self._fixed + len(customer_id) * (len(self._parts) - 1)
        return b"%b%d\r\n\r\n%b" % (self._head, length, customer_id.join(self._parts))


class Connection(asyncio.Protocol):
    """Reads as much of a request as tells its end and its id: the benchmarks send no bodies."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._transport: asyncio.Transport | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        data = self._data + data
        while self._transport is not None and (end := data.find(b"\r\n\r\n")) >= 0:
            path = data[: data.find(b" HTTP/1")]
            self._transport.write(self._answers.answer(path[path.rfind(b"/") + 1 :]))
            if b"\r\nConnection: close" in data[:end]:
                self._transport.close()
            data = data[end + 4 :]
        self._data = data


async def serve(certificate: Path | None) -> None:
    """Serve until SIGTERM, over TLS if there is a certificate; print the base URL first."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    answers = Answers()
    answers.tick()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if certificate else None
    if context is not None and certificate is not None:
        context.load_cert_chain(certificate)
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0, backlog=1024, ssl=context)
    sys.stdout.write(f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)
        answers.tick()
    server.close()


@contextlib.contextmanager
def running(*, tls: bool = False) -> Iterator[str]:
    """Run the server in a process of its own, and give its base URL. With TLS, children started meanwhile trust it."""
    with contextlib.ExitStack() as stack:
        options = ["--certificate", str(stack.enter_context(trusted_certificate()))] if tls else []
        process = subprocess.Popen(  # noqa: S603 - our own program, by names of our own
            [sys.executable, "-m", "benchmarks.server", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


@contextlib.contextmanager
def trusted_certificate() -> Iterator[Path]:
    """A key and a certificate in one file. Processes that are started meanwhile trust whoever made it."""
    import trustme  # noqa: PLC0415 - an extra

    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        roots, certificate = Path(folder, "roots.pem"), Path(folder, "server.pem")
        authority.cert_pem.write_to_path(str(roots))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        before = {name: os.environ.get(name) for name in _TRUSTED}
        os.environ.update(dict.fromkeys(_TRUSTED, str(roots)))
        try:
            yield certificate
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", type=Path, help="a key and its certificate: serve over TLS")
    given = parser.parse_args()
    try:
        import uvloop  # noqa: PLC0415 - the server is faster with it, and works without
    except ImportError:
        asyncio.run(serve(given.certificate))
    else:
        uvloop.run(serve(given.certificate))


if __name__ == "__main__":
    main()
