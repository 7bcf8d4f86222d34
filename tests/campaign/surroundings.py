"""What a world is like: who writes, how the service and its surroundings behave. All of it drawn from the seed."""

from __future__ import annotations

import random

import attrs

from fusebill_async import SettlingPolicy
from fusebill_async.testing import ClockSkew, SimulatorQuota

CALLS = 100


@attrs.frozen(kw_only=True)
class Surroundings:
    """One world. Times are seconds, shares are of the requests or calls concerned.

    Attributes:
        customers: their statuses.
        clients: the handles that write: "a", "a2" (another handle of a), "b" (another client on a's store) and
            "c" (a client of its own).
        callers: how many calls are under way at once, at most.
        settling: of every client.
        faulty: writes that meet a fault.
        blind: reads that meet a fault.
        proxied: writes that meet a proxy which doubles them or answers for the service.
        lag, lagging: how far replicas are behind at most, and how many reads they answer.
        skew: how far the service's clocks are apart.
        others: seconds between two acts of somebody else, on average; 0 is nobody.
        quota: the limits of the account; None is a generous one.
        cancelled, hurried: calls that are cancelled, and callers with a deadline.
        connections: connections that meet a fault before any request.
        late, late_money: how late effects are at most, of what moves money and of the rest.
        beyond: some effects come later than the quiet period: beyond the bound that the client states.
    """

    seed: int
    customers: tuple[str, ...]
    clients: tuple[str, ...]
    callers: int
    settling: SettlingPolicy
    faulty: float
    blind: float
    proxied: float
    lag: float
    lagging: float
    skew: ClockSkew
    others: float
    quota: SimulatorQuota | None
    cancelled: float
    hurried: float
    connections: float
    late: float
    late_money: float
    beyond: bool

    def __str__(self) -> str:
        told = [f"{len(self.customers)} customers", f"clients {' '.join(self.clients)}", f"{self.callers} callers"]
        told += [
            f"{field.name} {getattr(self, field.name):.3g}"
            for field in attrs.fields(Surroundings)
            if isinstance(getattr(self, field.name), float) and getattr(self, field.name)
        ]
        told += [f"{self.skew}"] if self.skew != ClockSkew() else []
        told += [f"{self.quota.per_minute} a minute"] if self.quota else []
        return ", ".join([*told, f"quiet period {self.settling.quiet_period}", *(["beyond"] if self.beyond else [])])


def draw_surroundings(seed: int) -> Surroundings:
    """Draw a world. Each kind of trouble is there in some worlds only, so that none hides behind another."""
    chance = random.Random(f"surroundings {seed}")

    def some(share: float, least: float, most: float) -> float:
        there, amount = chance.random() < share, chance.uniform(least, most)
        return amount if there else 0.0

    clients = chance.choice((("a",), ("a", "a2"), ("a", "a2", "b"), ("a", "b"), ("a", "c"), ("a", "a2", "b", "c")))
    quiet = chance.choice((None, None, 4.0))
    # Effects and reads that come within the quiet period: the bound that every outcome rests on.
    bound, bound_money = quiet or 10.0, quiet or 60.0
    lag = some(0.5, 0.05, 0.35 * bound)
    skewed = chance.random() < 0.4
    skew = ClockSkew(
        date=None if chance.random() < 0.2 else chance.uniform(-3, 3),
        database=chance.uniform(-3, 3),
        limiter=chance.uniform(-3, 3),
    )
    per_minute = chance.randint(40, 120)
    return Surroundings(
        seed=seed,
        customers=tuple(
            chance.choice(("Active", "Active", "Active", "Draft", "Hold")) for _ in range(chance.randint(2, 6))
        ),
        clients=clients,
        callers=chance.randint(2, 12),
        settling=SettlingPolicy(quiet_period=quiet, wait=chance.choice((30.0, 30.0, 200.0)), close_wait=1000.0),
        faulty=some(0.8, 0.05, 0.5),
        blind=some(0.5, 0.02, 0.4),
        proxied=some(0.4, 0.02, 0.2),
        lag=lag,
        lagging=chance.uniform(0.1, 0.7) if lag else 0.0,
        skew=skew if skewed else ClockSkew(),
        others=some(0.5, 0.5, 15.0),
        quota=SimulatorQuota(per_minute=per_minute, per_day=100_000) if chance.random() < 0.25 else None,
        cancelled=some(0.3, 0.02, 0.3),
        hurried=some(0.3, 0.02, 0.2),
        connections=some(0.3, 0.01, 0.1),
        late=0.5 * bound,
        late_money=0.5 * bound_money,
        beyond=chance.random() < 0.05,
    )
