"""What the tests of outcomes share: a client in a hurry, the operations with their verbs, and the faults by kind."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from fusebill_async import (
    FusebillClient,
    FusebillError,
    Outcome,
    PoolSettings,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
)
from fusebill_async.testing import Fault, FusebillSimulator

KEY = "c2VjcmV0LWFwaS1rZXk6MTIzNDU2Nzg5"

QUIET = 0.15
READ = 0.3
INSIDE = 0.05
"""Seconds until an effect that is late, but inside the quiet period."""
BEYOND = READ + QUIET + 0.5
"""Seconds until an effect that comes after every read."""
OTHERS = 100_000
"""Ids above this one are not what a call is about."""


def make_client(fusebill: FusebillSimulator, **options: Any) -> FusebillClient:
    """A client in a hurry."""
    settings: dict[str, Any] = {
        "base_url": fusebill.base_url,
        "timeouts": Timeouts(connect=1.0, read=READ, total=20.0, queue=10.0),
        "retry": RetryPolicy(backoff=0.001, budget_minimum=1000),
        "settling": SettlingPolicy(first_read=0.005, quiet_period=QUIET, retry_delay=0.01, wait=20.0, close_wait=5.0),
    }
    return FusebillClient(KEY, **{**settings, **options})


async def keep_connections(client: FusebillClient, customer_id: int) -> None:
    """Leave a kept connection that has carried a read and a write."""
    await client.customers.get(customer_id)
    await client.geotab.unlatch(customer_id)


@attrs.frozen
class Verb:
    """An operation as a caller uses it.

    Attributes:
        title: how the simulator counts it.
        status: the status from which it works.
        kind: "read", "repeatable", "money", "put", "create" or "goalless": no read can tell whether it happened.
        call: takes the resources with responses, and an id.
        once: a second effect is impossible, since the state refuses it.
        by_id: the request names the customer; otherwise the call needs a service of its own.
        fields: what the customer has besides the status.
    """

    name: str
    title: str
    status: str
    kind: str
    call: Callable[[Any, int], Awaitable[Any]]
    once: bool = False
    by_id: bool = True
    fields: dict[str, Any] = attrs.field(factory=dict)

    def __str__(self) -> str:
        return self.name


def _create(with_response: Any, customer_id: int) -> Awaitable[Any]:
    return with_response.customers.create(reference=f"made-{customer_id}", company_name="Created Ltd")


async def _list(with_response: Any, customer_id: int) -> Any:
    """A page with one customer."""
    # The simulator's customers have such references.
    query = {"reference": str(100_000 + customer_id)}
    found = [customer async for customer in with_response.customers.list(query)]
    assert [customer.id for customer in found] == [customer_id]
    return found


async def _replace(with_response: Any, customer_id: int) -> Any:
    customer = (await with_response.customers.get(customer_id)).value
    customer.company_name = "Replaced Ltd"
    return await with_response.customers.replace(customer)


VERBS = {
    verb.name: verb
    for verb in (
        Verb("hold", "hold", "Active", "repeatable", lambda c, i: c.customers.hold(i), once=True),
        Verb(
            "release_hold", "release_hold", "Hold", "money",
            lambda c, i: c.customers.release_hold(i, "NoChargesForMissedPeriods"), once=True,
        ),
        Verb(
            "activate", "activate", "Draft", "money",
            lambda c, i: c.customers.activate(i, True, True, False), once=True,
        ),
        Verb("cancel", "cancel", "Active", "money", lambda c, i: c.customers.cancel(i, "None"), once=True),
        Verb("unlatch", "hubspot.unlatch", "Active", "repeatable", lambda c, i: c.hubspot.unlatch(i)),
        Verb("uncancel", "uncancel", "Cancelled", "money", lambda c, i: c.customers.uncancel(i), once=True),
        Verb(
            "hubspot_latch", "hubspot.latch", "Active", "repeatable",
            lambda c, i: c.hubspot.latch(i, hubspot_id=77, hubspot_company_id=88),
        ),
        Verb(
            "netsuite_latch", "netsuite.latch", "Active", "repeatable",
            lambda c, i: c.netsuite.latch(i, "999001"),
        ),
        Verb(
            "netsuite_unlatch", "netsuite.unlatch", "Active", "repeatable",
            lambda c, i: c.netsuite.unlatch(i, "999001"), fields={"netsuite_id": "999001"}, once=True,
        ),
        Verb("netsuite_sync", "netsuite.disable_sync", "Active", "repeatable", lambda c, i: c.netsuite.disable_sync(i)),
        Verb(
            "netsuite_no_sync", "netsuite.enable_sync", "Active", "repeatable",
            lambda c, i: c.netsuite.enable_sync(i), fields={"netsuite_synch_status": "Disabled"},
        ),
        Verb(
            "salesforce_latch", "salesforce.latch", "Active", "repeatable",
            lambda c, i: c.salesforce.latch(i, "0011U000005Ihdk", force_latch=True),
        ),
        Verb("geotab_latch", "geotab.latch", "Active", "repeatable", lambda c, i: c.geotab.latch(i, "G-77")),
        Verb("geotab_unlatch", "geotab.unlatch", "Active", "repeatable", lambda c, i: c.geotab.unlatch(i)),
        Verb("update", "update", "Active", "put", lambda c, i: c.customers.update(i, company_name="Updated Ltd")),
        Verb("replace", "update", "Active", "put", _replace),
        Verb("create", "create", "Active", "create", _create, by_id=False),
        Verb(
            "activate_items", "activate_items", "Active", "goalless",
            lambda c, i: c.customers.activate_items(i, subscription_ids=[1]),
        ),
        Verb("get", "get", "Active", "read", lambda c, i: c.customers.get(i)),
        Verb("overview", "overview", "Active", "read", lambda c, i: c.customers.overview(i)),
        Verb("list", "customers.list", "Active", "read", _list, by_id=False),
        Verb("preview", "preview_activation", "Draft", "read", lambda c, i: c.customers.preview_activation(i)),
        Verb(
            "preview_release", "preview_release_hold", "Hold", "read",
            lambda c, i: c.customers.preview_release_hold(i, "NoChargesForMissedPeriods"),
        ),
    )
}  # fmt: skip
EVERY_WRITE = [verb for verb in VERBS.values() if verb.kind != "read"]
WRITES = [verb for verb in EVERY_WRITE if verb.kind in {"repeatable", "money", "put"} and not verb.fields]
"""Those whose customer needs nothing but a status, and can be read to see what happened."""
READS = [verb for verb in VERBS.values() if verb.kind == "read"]

BAD_ANSWERS = [
    *(getattr(Fault, f"{end}_in_{part}")(of="answer") for end in ("reset", "close") for part in ("headers", "body")),
    *(Fault.status(code) for code in (408, 500, 502, 503, 504)),
    Fault.redirect(), Fault.redirect(307), Fault.redirect(to="https://elsewhere.example/v1/customers"),
    Fault.html(), Fault.html(code=502), Fault.empty(), Fault.no_content(), Fault.null_body(), Fault.bad_json(),
    Fault.wrong_types(), Fault.other_id(), Fault.duplicate_content_length(), Fault.cut_body(),
    Fault.cut_body(then="reset"), Fault.broken_gzip(), Fault.slow_body(seconds=2 * READ), Fault.delay(2 * READ),
]  # fmt: skip
"""The answer is of no use; the effect happens or not."""

GOOD_ANSWERS = [
    Fault.gzip_answer(), Fault.delay(0.02), Fault.slow_body(seconds=0.001), Fault.close_after_answer(),
    Fault.close_after_answer(then="reset"), Fault.unsolicited_answer(), Fault.unsolicited_answer(after=0.01),
]  # fmt: skip
"""The answer is right in the end. Without the effect it shows the customer as it was, which confirms nothing."""

HEAVY_ANSWERS = [
    Fault.gzip_bomb(), Fault.deep_json(), Fault.header_flood(), Fault.oversized_body(),
]  # fmt: skip

CUT_REQUESTS = [getattr(Fault, f"{end}_in_{part}")() for end in ("reset", "close") for part in ("headers", "body")]
"""The request never reached the service whole, so nothing can have happened; the client cannot know."""

REFUSALS = [Fault.status(code) for code in (400, 401, 403, 409, 422)]


def cuts(when: str, late_by: float = INSIDE) -> list[Fault]:
    """The connection ends, or hangs, after the request was read."""
    if when == "late":
        endings = [Fault.late_effect(delay=late_by, then=then) for then in ("reset", "close", "hang")]
        return [*endings, Fault.late_effect(delay=late_by, then="status", code=503)]
    side = "before" if when == "none" else "after"
    return [getattr(Fault, f"{end}_{side}_effect")() for end in ("reset", "close", "hang")]


def with_effect(faults: list[Fault], when: str, late_by: float = INSIDE) -> list[Fault]:
    """The same answers, with the effect before, late or never ("none")."""
    return [fault.scoped(effect=when, late_by=late_by) for fault in faults]


@attrs.frozen
class Seen:
    """How a call ended, and what the service saw of it. In an expectation None stands for anything."""

    outcome: Outcome | None
    confirmed_by: str | None = None
    attribution: str | None = None
    effects: int | None = None
    requests: int | None = None

    def meets(self, expected: "Seen") -> bool:
        """Whether it is as expected."""
        pairs = zip(attrs.astuple(self), attrs.astuple(expected), strict=True)
        return all(wanted is None or is_ == wanted for is_, wanted in pairs)


async def observe(
    fusebill: FusebillSimulator,
    verb: Verb,
    customer_id: int,
    fault: Fault | None,
    *,
    connection: str = "kept",
    late: bool = False,
    around: Sequence[Fault] = (),
    known: bool = False,
    meanwhile: Callable[[FusebillSimulator, int], None] | None = None,
    **options: Any,
) -> Seen:
    """Make one call that meets a fault; a client of its own, with a fresh connection for the write or a kept one.

    Args:
        fusebill: the service.
        verb: the operation.
        customer_id: who it is about.
        fault: what befalls the write.
        connection: "fresh" or "kept".
        late: wait for effects that come late.
        around: what befalls the reads of this customer.
        known: the client has read the customer before.
        meanwhile: what somebody else does once the write has come.
        options: of the client.
    """
    subject = customer_id if verb.by_id else None
    fusebill.add_customer(id=customer_id, status=verb.status, **verb.fields)
    pool = PoolSettings(fresh_connections="writes" if connection == "fresh" else "never")
    async with make_client(fusebill, pool=pool, **options) as client:
        if connection == "kept":
            await keep_connections(client, fusebill.add_customer(id=customer_id + OTHERS))
        if known:
            await client.customers.get(customer_id)
        fusebill.inject(*(each.scoped(customer_id=subject) for each in around))
        if fault is not None:
            fusebill.inject(fault.scoped(operation=verb.title, customer_id=subject))
        if meanwhile is not None:
            asyncio.get_running_loop().create_task(_act(fusebill, verb, customer_id, meanwhile))
        try:
            response = await verb.call(client.with_response, customer_id)
        except FusebillError as error:
            told: tuple[Any, ...] = (error.outcome, None, None)
        else:
            # A list has no response of its own.
            told = (Outcome.APPLIED, *(getattr(response, name, None) for name in ("confirmed_by", "attribution")))
    if late:
        await fusebill.wait_for_late_effects()
    effects = fusebill.effects(verb.title, subject) if verb.kind != "read" else 0
    return Seen(*told, effects, fusebill.received(verb.title, subject))


async def _act(fusebill: FusebillSimulator, verb: Verb, customer_id: int, act: Callable[..., None]) -> None:
    while not fusebill.received(verb.title, customer_id):  # noqa: ASYNC110 (what the service saw is looked at)
        await asyncio.sleep(0.001)
    act(fusebill, customer_id)
