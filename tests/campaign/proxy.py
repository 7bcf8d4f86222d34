"""A proxy before the service: it sends a request twice, or answers in the service's place."""

from __future__ import annotations

import random

from fusebill_async.testing import Fault

_TOO_MANY = "<html><body>Too many requests</body></html>"


def proxy_fault(chance: random.Random, latest: float) -> Fault:
    """What a proxy does to a write: the request may have gone on to the service, whatever the proxy says.

    Args:
        chance: of the world.
        latest: seconds until a late effect, at most.
    """
    kind = chance.random()
    if kind < 0.35:
        answer = chance.choice(("first", "second"))
        return Fault.doubled_request(after=round(chance.uniform(0.001, 0.2), 4), answer=answer)
    if kind < 0.45:
        # Neither lets a request through that it refuses so.
        return Fault.status(407) if chance.random() < 0.5 else Fault.status(401, body="<html>Log in</html>")
    effect = chance.choice(("none", "before", "before", "late"))
    scope = {"effect": effect, "late_by": round(latest * chance.random() ** 2, 3)}
    return chance.choice((
        Fault.html(code=403, **scope),
        Fault.html(code=404, **scope),
        Fault.html(code=502, **scope),
        Fault.html(code=503, **scope),
        Fault.html(code=200, **scope),
        Fault.status(504, body="upstream timed out", quota_headers="without", **scope),
        Fault.status(429, body=_TOO_MANY, quota_headers="without", **scope),
        Fault.status(403, body='{"message": "Forbidden"}', quota_headers="without", **scope),
        Fault.status(400, body='{"message": "Bad request"}', quota_headers="without", **scope),
    ))  # fmt: skip
