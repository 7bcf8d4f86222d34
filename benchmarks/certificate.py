"""A certificate for the service of the benchmarks, and the trust of the contenders in it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_TRUSTED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Where OpenSSL and httpx look, and where requests does."""


@contextlib.contextmanager
def trusted_certificate() -> Iterator[Path]:
    """Give a key and a certificate in one file. Processes that are started meanwhile trust whoever made it."""
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
