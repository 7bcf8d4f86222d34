"""What one client on a store has seen, another one knows: a read that lags behind it is never the base of a PUT."""

import pytest

from fusebill_async import FusebillClient
from fusebill_async.stores import MemoryStore, SQLiteStore
from fusebill_async.testing import Fault, FusebillSimulator, run_simulated

KEY = "MDpub3QtYS1yZWFsLWtleQ"


async def overtake(store_of, *, lag):
    """One client changes a customer, and another one changes another field, while a replica is behind."""
    async with FusebillSimulator() as fusebill:
        fusebill.add_customer(id=1, company_name="Old Ltd", first_name="Ann")
        async with (
            FusebillClient(KEY, base_url=fusebill.base_url, store=store_of()) as one,
            FusebillClient(KEY, base_url=fusebill.base_url, store=store_of()) as other,
        ):
            fusebill.inject(Fault.lagging_read(lag, operation="get", times=3))
            await one.customers.update(1, company_name="New Ltd")
            await other.customers.update(1, first_name="Bea")
        customer = fusebill.customer(1)
        return customer["companyName"], customer["firstName"]


def test_another_client_on_the_store_waits_for_a_read_that_is_not_older():
    store = MemoryStore()
    assert run_simulated(lambda: overtake(lambda: store, lag=5.0)) == ("New Ltd", "Bea")


@pytest.mark.parametrize("stores", ["two", "one"])
async def test_another_process_knows_it_from_the_file(tmp_path, stores):
    shared = SQLiteStore(tmp_path / "store.sqlite")
    make = (lambda: shared) if stores == "one" else (lambda: SQLiteStore(tmp_path / "store.sqlite"))
    assert await overtake(make, lag=0.3) == ("New Ltd", "Bea")


def test_without_a_store_in_common_nobody_can_know():
    """The bound that the guide states; if this fails, the tests above prove nothing."""
    assert run_simulated(lambda: overtake(MemoryStore, lag=5.0)) == ("Old Ltd", "Bea")
