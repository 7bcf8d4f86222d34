"""What can go wrong with one connection of a simulated network."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import attrs

Kind: TypeAlias = Literal["refuse", "hang", "reset", "half_close", "stall"]
End: TypeAlias = Literal["client", "server"]


@attrs.frozen
class NetworkFault:
    """One fault of one connection. Make it with one of the class methods.

    Attributes:
        kind: what goes wrong.
        towards: the end that the bytes which it befalls are sent to.
        after: bytes in that direction that still arrive.
        seconds: how long a stall lasts.
    """

    kind: Kind
    towards: End = "client"
    after: int = 0
    seconds: float = math.inf

    @classmethod
    def refuse(cls) -> NetworkFault:
        """Refuse the connect."""
        return cls("refuse")

    @classmethod
    def hang(cls) -> NetworkFault:
        """Let the connect hang, until the system gives it up after 130 s."""
        return cls("hang")

    @classmethod
    def reset(cls, *, towards: End = "client", after: int = 0) -> NetworkFault:
        """Reset the connection in place of the byte that follows the first `after` ones in that direction."""
        return cls("reset", towards, after)

    @classmethod
    def half_close(cls, *, towards: End = "client", after: int = 0) -> NetworkFault:
        """End one direction there; the other one goes on."""
        return cls("half_close", towards, after)

    @classmethod
    def stall(cls, *, towards: End = "client", after: int = 0, seconds: float = math.inf) -> NetworkFault:
        """Let the rest of that direction be late by `seconds`; without it, it never arrives."""
        return cls("stall", towards, after, seconds)
