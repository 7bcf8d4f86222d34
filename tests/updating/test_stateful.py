"""Whatever is done in whatever order, and by whomever: a field that nobody named stands as it stood."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import attrs
import hypothesis.strategies as st
import msgspec
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fusebill_async import (
    ConcurrentModificationError,
    ConflictError,
    FusebillClient,
    RetryPolicy,
    SettlingPolicy,
    UpdatePolicy,
)
from fusebill_async.converting import wire_fields
from fusebill_async.models import Customer
from fusebill_async.testing import Fault, FusebillSimulator
from tests.updating.update_wires import LITERALS, TEXTS, literal_pairs

KEY = "MDpub3QtYS1yZWFsLWtleQ"
QUICK = SettlingPolicy(first_read=0.0, quiet_period=0.002, retry_delay=0.001, wait=5.0)

FIELDS = {
    "company_name": "companyName",
    "middle_name": "middleName",
    "reference": "reference",
    "geotab_id": "geotabId",
}
NESTED = {
    ("customer_reference", "reference1"): ("customerReference", "reference1"),
    ("customer_reference", "reference3"): ("customerReference", "reference3"),
    ("customer_acquisition", "campaign"): ("customerAcquisition", "campaign"),
}
NAMES = [(name,) for name in FIELDS] + list(NESTED)
# A lost PUT is found by reading, where null and "" and outer spaces are no difference (see `same_value`).
WORDS = TEXTS.map(lambda text: f"v{text.strip()}")
NAMED = st.dictionaries(st.sampled_from(NAMES), st.one_of(WORDS, st.none()), min_size=1, max_size=3)
HOW = st.sampled_from(["fresh", "strict"])
LOSS = st.sampled_from([None, None, None, "reset_after_effect", "reset_before_effect"])


def keys_of(name: tuple[str, ...]) -> tuple[str, ...]:
    return (FIELDS[name[0]],) if len(name) == 1 else NESTED[name]


def arguments(changes: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in changes.items():
        if len(name) == 1:
            given[name[0]] = value
        else:
            given.setdefault(name[0], {})[name[1]] = value
    return given


class Customers(RuleBasedStateMachine):
    """The model is the customer's JSON as pairs: key to value, number literals as text."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(debug=False)
        self.runner.run(self.open())
        self.model: dict[str, Any] = {}
        self.copies: list[Customer] = []

    async def open(self) -> None:
        self.fusebill = await FusebillSimulator().start()
        self.client = FusebillClient(
            KEY,
            base_url=self.fusebill.base_url,
            settling=QUICK,
            retry=RetryPolicy(backoff=0.0001),
            # Somebody else may act right after any read here, and a trusted read would be the window for that.
            updates=UpdatePolicy(max_read_age=0),
        )

    def teardown(self) -> None:
        self.runner.run(self.close())
        self.runner.close()

    async def close(self) -> None:
        await self.client.aclose()
        await self.fusebill.aclose()

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def shown(self) -> dict[str, Any]:
        return dict(literal_pairs(self.fusebill.customer_bytes(1)))

    # -- the model ------------------------------------------------------------------------------------------------

    @initialize(odd=st.lists(st.sampled_from(LITERALS), max_size=6))
    def add(self, odd: list[bytes]) -> None:
        reference = b'{"reference1":"r1","reference2":10.000000,"reference3":null,"salesTrackingCodes":[{"type":"T",'
        reference += b'"code":"C","name":"N","rate":1E+2}],"id":9,"classicId":123456789012345678901,"odd":{"x":-0}}'
        raw = {f"odd{number}": text for number, text in enumerate(odd)} | {"customerReference": reference}
        self.fusebill.add_customer(id=1, status="Draft", raw=raw)
        self.model = self.shown()

    def name(self, changes: dict[tuple[str, ...], Any]) -> None:
        """What is named shows as it was sent; what says the same already keeps its text."""
        for name, value in changes.items():
            keys = keys_of(name)
            if len(keys) == 1:
                self.model[keys[0]] = value
            else:
                self.model[keys[0]] = [(k, value if k == keys[1] else v) for k, v in self.model[keys[0]]]

    @invariant()
    def nothing_else_is_different(self) -> None:
        shown = self.shown()
        if not self.model:
            return
        shown.pop("modifiedTimestamp")
        expected = {key: value for key, value in self.model.items() if key != "modifiedTimestamp"}
        assert shown == expected
        assert list(shown) == list(expected)
        assert not self.client.unresolved()

    # -- what the client does -------------------------------------------------------------------------------------

    def lose(self, kind: str | None) -> None:
        self.fusebill.clear_faults()
        if kind is not None:
            self.fusebill.inject(getattr(Fault, kind)(operation="update"))

    @precondition(lambda self: self.model.get("status") != "Cancelled")
    @rule(changes=NAMED, check=HOW, loss=LOSS)
    def update(self, changes: dict[tuple[str, ...], Any], check: Any, loss: str | None) -> None:
        self.lose(loss)
        self.run(self.client.customers.update(1, **arguments(changes), check=check))
        self.name(changes)

    @precondition(lambda self: self.model.get("status") == "Cancelled")
    @rule(text=WORDS)
    def update_who_is_cancelled(self, text: str) -> None:
        """A cancelled customer cannot be modified; to name what it has already is no change."""
        self.lose(None)
        with suppress(ConflictError):
            self.run(self.client.customers.update(1, company_name=text))
            assert self.model["companyName"] == text

    @precondition(lambda self: self.model.get("status") != "Cancelled")
    @rule(changes=NAMED, loss=LOSS)
    def edit(self, changes: dict[tuple[str, ...], Any], loss: str | None) -> None:
        self.lose(loss)

        async def block() -> None:
            async with self.client.customers.edit(1) as draft:
                for name, value in changes.items():
                    setattr(draft if len(name) == 1 else getattr(draft, name[0]), name[-1], value)

        self.run(block())
        self.name(changes)

    @rule()
    def read(self) -> None:
        self.copies = [*self.copies[-3:], self.run(self.client.customers.get(1))]

    @precondition(lambda self: self.copies and self.model.get("status") != "Cancelled")
    @rule(changes=NAMED, data=st.data(), check=HOW)
    def update_a_copy(self, changes: dict[tuple[str, ...], Any], data: Any, check: Any) -> None:
        """The copy may be outdated: then its changes are merged, or it is told."""
        copy = data.draw(st.sampled_from(self.copies))
        try:
            self.run(self.client.customers.update(copy, **arguments(changes), check=check))
        except ConcurrentModificationError as told:
            error = told
        else:
            self.name(changes)
            return
        assert set(error.conflicts) <= {".".join(name) for name in changes}

    @precondition(lambda self: self.copies and self.model.get("status") != "Cancelled")
    @rule(company_name=WORDS, data=st.data())
    def replace_a_copy(self, company_name: str, data: Any) -> None:
        copy = attrs.evolve(data.draw(st.sampled_from(self.copies)), company_name=company_name)
        try:
            self.run(self.client.customers.replace(copy))
        except ConcurrentModificationError:
            return
        self.name({("company_name",): company_name})

    @precondition(lambda self: self.model.get("status") == "Draft")
    @rule()
    def activate(self) -> None:
        self.run(self.client.customers.activate(1, True, True, False))
        self.model["status"] = "Active"

    @precondition(lambda self: self.model.get("status") == "Active")
    @rule()
    def hold(self) -> None:
        self.run(self.client.customers.hold(1))
        self.model["status"] = "Hold"

    @precondition(lambda self: self.model.get("status") == "Hold")
    @rule()
    def release_hold(self) -> None:
        self.run(self.client.customers.release_hold(1, "NoChargesForMissedPeriods"))
        self.model["status"] = "Active"

    # -- what somebody else does ------------------------------------------------------------------------------------

    @rule(changes=NAMED)
    def somebody_else_changes_fields(self, changes: dict[tuple[str, ...], Any]) -> None:
        self.fusebill.change(1, **arguments(changes))
        self.name(changes)

    @rule(text=st.sampled_from(LITERALS))
    def somebody_else_sets_an_unknown_field(self, text: bytes) -> None:
        self.fusebill.change(1, raw={"later": text})
        self.model = self.shown() if "later" not in self.model else self.model | {"later": literal_pairs(text)}

    @precondition(lambda self: self.model.get("status") not in {"Draft", None})
    @rule(status=st.sampled_from(["Active", "Hold", "Suspended", "Cancelled"]))
    def somebody_else_changes_the_status(self, status: str) -> None:
        self.fusebill.change(1, status=status)
        self.model["status"] = status


Customers.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestCustomers = Customers.TestCase


def test_the_model_sees_what_a_careless_put_erases() -> None:
    """The service nullifies what is left out, so the comparison above has something to find."""

    async def put() -> tuple[bytes, bytes]:
        async with FusebillSimulator() as fusebill, FusebillClient(KEY, base_url=fusebill.base_url) as client:
            fusebill.add_customer(id=1)
            before = fusebill.customer_bytes(1)
            await client.request("PUT", "/customers", body={"id": 1, "status": "Active", "companyName": "x"})
            return before, fusebill.customer_bytes(1)

    before, after = asyncio.run(put())
    assert wire_fields(before)["firstName"] != msgspec.Raw(b"null")
    assert bytes(wire_fields(after)["firstName"]) == b"null"
