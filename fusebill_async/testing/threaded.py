"""The simulator in a thread of its own, for code and tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from fusebill_async.testing.faults import Fault
from fusebill_async.testing.messages import Request
from fusebill_async.testing.simulator import FusebillSimulator

T = TypeVar("T")


class FusebillServer:
    """A `FusebillSimulator` that runs in a thread of its own. Any thread, event loop or process may use it.

        with FusebillServer() as fusebill:
            fusebill.add_customer(id=1, status="Active")
            call_my_program(fusebill.base_url)
            fusebill.assert_effects("hold", 1)

    Args:
        options: those of `FusebillSimulator`.
    """

    def __init__(self, **options: Any) -> None:
        self._simulator = FusebillSimulator(**options)
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fusebill-server", daemon=True)

    def start(self) -> Self:
        """Listen; returns when it does."""
        self._thread.start()
        self._started.result()
        return self

    def close(self) -> None:
        """End every connection and the thread. What happened can still be asked for."""
        if self._thread.is_alive():
            self._started.result().call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _serve(self) -> None:
        try:
            await self._simulator.start()
        except Exception as error:  # noqa: BLE001 (raised by `start`)
            self._started.set_exception(error)
            return
        self._started.set_result(asyncio.get_running_loop())
        try:
            await self._stop.wait()
        finally:
            await self._simulator.aclose()

    def call(self, function: Callable[[FusebillSimulator], T]) -> T:
        """Do anything with the simulator, in its thread: `fusebill.call(lambda simulator: simulator.customer_ids)`."""
        if not self._thread.is_alive():
            return function(self._simulator)

        async def work() -> T:
            return function(self._simulator)

        return asyncio.run_coroutine_threadsafe(work(), self._started.result()).result()

    @property
    def base_url(self) -> str:
        """The address for the client, such as http://127.0.0.1:40001/v1."""
        return self.call(lambda simulator: simulator.base_url)

    @property
    def requests(self) -> list[Request]:
        """The requests that were read to their end, in their order."""
        return self.call(lambda simulator: list(simulator.requests))

    def add_customer(self, **fields: Any) -> int:
        """Add a customer, and return its id; see `FusebillSimulator.add_customer`."""
        return self.call(lambda simulator: simulator.add_customer(**fields))

    def customer(self, customer_id: int) -> dict[str, Any]:
        """Return a customer as it would be served; see `FusebillSimulator.customer`."""
        return self.call(lambda simulator: simulator.customer(customer_id))

    def inject(self, *faults: Fault) -> None:
        """Let faults wait for their victims; see `FusebillSimulator.inject`."""
        self.call(lambda simulator: simulator.inject(*faults))

    def effects(self, operation: str, id: int | None = None) -> int:  # noqa: A002  # the API's own name
        """Return how often an effect happened; see `FusebillSimulator.effects`."""
        return self.call(lambda simulator: simulator.effects(operation, id))

    def assert_effects(self, operation: str, id: int | None = None, times: int = 1) -> None:  # noqa: A002
        """Fail unless an effect happened so often; see `FusebillSimulator.assert_effects`."""
        self.call(lambda simulator: simulator.assert_effects(operation, id, times))

    def clear(self) -> None:
        """Forget the requests, the effects and the faults that wait; the customers stay."""
        self.call(_clear)


def _clear(simulator: FusebillSimulator) -> None:
    simulator.clear_records()
    simulator.clear_faults()
