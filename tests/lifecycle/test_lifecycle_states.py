"""Random lives of customers: after every operation the statuses agree with the table, and no field is lost."""

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fusebill_async import ConflictError
from fusebill_async import operations as table
from fusebill_async.models import Customer, Status
from fusebill_async.operations import OPERATIONS, FieldIs, FieldsAre, FieldsAreNull
from fusebill_async.testing import Fault, FusebillSimulator
from tests.docs.operations_shown import BY_THE_SERVICE
from tests.lifecycle.lifecycle_calls import NETSUITE_ID, client_of, perform

UNKNOWN_KEYS = {
    "futureField": b'{"rate":1.10,"list":[1e2,null]}',
    "bigNumber": b"123456789012345678901234567890.10",
}

# What the service itself moves, besides what the row says.
BESIDES = {"modifiedTimestamp"}


def changed_by(operation):
    """The keys that an operation changes, by its row."""
    keys = set(BESIDES)
    if operation.leads_to is not None:
        keys.add("status")
    match operation.goal:
        case FieldsAreNull(goal_keys):
            keys |= {*goal_keys}
        case FieldsAre(pairs):
            keys |= {key for key, _ in pairs}
        case FieldIs(key, _):
            keys.add(key)
    if operation in {table.UPDATE, table.REPLACE}:
        keys.add("companyName")
    return keys if operation.writes else set()


class Lives(RuleBasedStateMachine):
    """A service with a few customers, and the statuses that they should have."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.fusebill = FusebillSimulator()
        self.run(self.fusebill.start())
        self.opened = client_of(self.fusebill)
        self.client = self.run(self.opened.__aenter__())
        self.statuses = {}
        self.names = 0

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def teardown(self):
        assert self.client.unresolved() == []
        self.run(self.opened.__aexit__(None, None, None))
        self.run(self.fusebill.aclose())
        self.loop.close()

    @initialize(statuses=st.lists(st.sampled_from(Status), min_size=2, max_size=4))
    def begin(self, statuses):
        for status in statuses:
            number = self.fusebill.add_customer(status=status, salesforce_id=None, raw=UNKNOWN_KEYS)
            self.statuses[number] = status

    def chosen(self, data):
        return data.draw(st.sampled_from(sorted(self.statuses)))

    @rule(operation=st.sampled_from([one for one in OPERATIONS if one is not table.CREATE]), data=st.data())
    def operate(self, operation, data):
        """Any operation, on any customer, allowed or not, and now and then with its first answer lost."""
        number = self.chosen(data)
        if operation is table.NETSUITE_UNLATCH:
            self.fusebill.change(number, netsuite_id=NETSUITE_ID)
        before = {one: self.fusebill.customer(one) for one in self.statuses}
        allowed = operation.allowed_from is None or self.statuses[number] in operation.allowed_from
        # A refusal that is lost is settled by reading, which tells what the customer is and not what was refused.
        lost = allowed and operation is not table.ACTIVATE_ITEMS and data.draw(st.integers(0, 5)) == 0
        if lost:
            sent_as = "update" if operation is table.REPLACE else operation.title
            self.fusebill.inject(Fault.reset_after_effect(operation=sent_as))
        effects = self.fusebill.effects(operation.title)
        try:
            value = self.run(perform(self.client, operation, number))
        except ConflictError:
            assert not allowed
        else:
            assert allowed
            if operation.leads_to is not None:
                self.statuses[number] = operation.leads_to
            customer = getattr(value, "customer", value)
            if isinstance(customer, Customer):
                assert customer.id == number
                assert customer.status == self.statuses[number]
        finally:
            self.fusebill.clear_faults()
        happened = self.fusebill.effects(operation.title) - effects
        assert happened == (allowed and operation.writes and not self._nothing_to_send(operation, before[number]))
        self._check_fields(number, before, changed_by(operation) if allowed else set())

    @staticmethod
    def _nothing_to_send(operation, before):
        return operation is table.UPDATE and before["companyName"] == "Grok Ltd"

    def _check_fields(self, number, before, may_change):
        for one, fields in before.items():
            after = self.fusebill.customer(one)
            assert [*after] == [*fields]
            different = {key for key in fields if fields[key] != after[key]}
            assert different <= (may_change if one == number else set())

    @rule(lost=st.booleans())
    def create(self, lost):
        self.names += 1
        if lost:
            self.fusebill.inject(Fault.reset_after_effect(operation="create"))
        customer = self.run(
            self.client.customers.create(reference=f"life {self.names}", company_name=f"Company {self.names}")
        )
        assert customer.id not in self.statuses
        self.statuses[customer.id] = Status.DRAFT

    @rule(change=st.sampled_from(BY_THE_SERVICE), data=st.data())
    def the_service_suspends_and_releases(self, change, data):
        number = self.chosen(data)
        if self.statuses[number] == change[0]:
            self.fusebill.change(number, status=change[1])
            self.statuses[number] = change[1]

    @rule(data=st.data(), text=st.text(st.characters(codec="utf-8"), max_size=50))
    def update(self, data, text):
        number = self.chosen(data)
        before = {one: self.fusebill.customer(one) for one in self.statuses}
        try:
            customer = self.run(self.client.customers.update(number, customer_reference={"reference1": text}))
        except ConflictError:
            # A cancelled customer cannot be modified.
            assert self.statuses[number] is Status.CANCELLED
            self._check_fields(number, before, set())
            return
        assert customer.customer_reference.reference1 == text
        self._check_fields(number, before, {"customerReference", *BESIDES})
        reference = dict(before[number]["customerReference"], reference1=text)
        assert self.fusebill.customer(number)["customerReference"] == reference

    @precondition(lambda self: self.statuses)
    @rule(status=st.sampled_from(Status), size=st.integers(1, 4))
    def list_by_status(self, status, size):
        async def listed():
            return [one.id async for one in self.client.customers.list({"status": status}, page_size=size)]

        assert self.run(listed()) == sorted(one for one, has in self.statuses.items() if has == status)

    @invariant()
    def statuses_agree(self):
        assert {one: self.fusebill.customer(one)["status"] for one in self.statuses} == self.statuses

    @invariant()
    def literals_stand(self):
        for number in self.statuses:
            fields = self.fusebill._stored(number).fields
            assert all(fields.get(key, text) == text for key, text in UNKNOWN_KEYS.items())


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
