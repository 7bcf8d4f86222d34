"""The simulator as a test uses it: a service with its own port, its ledger and its faults."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import chain
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from fusebill_async.models.enums import Status
from fusebill_async.operations import BY_TITLE
from fusebill_async.testing.clock import Clock, ClockSkew
from fusebill_async.testing.customers import StoredCustomer, Template, check_names, literal, wire_key
from fusebill_async.testing.effect_log import Effect, EffectLog, title_of
from fusebill_async.testing.explaining import arrived, never_struck, unexpected_writes, wrong_count
from fusebill_async.testing.faults import Fault, FaultScript, Fired
from fusebill_async.testing.listing import Paging
from fusebill_async.testing.messages import JSON, Reply, Request, render
from fusebill_async.testing.quota import SimulatorQuota, WindowName
from fusebill_async.testing.refusals import API_ERROR, api_error
from fusebill_async.testing.routing import PREFIX, identify
from fusebill_async.testing.scripts import SCRIPTS, Script, connection_script
from fusebill_async.testing.server import Connection, Server
from fusebill_async.testing.service import Behaviour, Service
from fusebill_async.testing.store import CustomerStore

_GENEROUS = 1_000_000
_REQUESTS_KEPT = 10_000
_PREFLIGHT = (
    b"Access-Control-Allow-Methods: GET, POST, PUT, DELETE, PATCH\r\n"
    b"Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
)
_LIMITS: dict[WindowName, str] = {
    "minute": "The limit of requests per minute has been reached.",
    "day": "The limit of requests per day has been reached.",
}


@attrs.frozen
class _Exchange:
    """One request, for the script of a fault."""

    simulator: FusebillSimulator
    request: Request

    @property
    def reads(self) -> bool:
        operation = BY_TITLE.get(self.request.operation)
        return operation is None or not operation.writes

    def perform(self) -> Reply:
        return self.simulator.service.answer(self.request)

    def perform_later(self, seconds: float) -> None:
        self.simulator.perform_later(seconds, self.request)

    def behind(self, seconds: float) -> Reply:
        return self.simulator.service.answer_behind(self.request, seconds)

    def refusal(self) -> Reply | None:
        return self.simulator.service.refusal(self.request)

    def present(self, customer_id: int | None = None) -> Reply:
        wanted = self.request.customer_id if customer_id is None else customer_id
        if wanted is None:
            return Reply(200, b"[]" if self.request.operation == "customers.list" else b"{}")
        return self.simulator.service.present(wanted)

    def standing(self, *, quota: bool = True) -> bytes:
        return self.simulator.standing(quota=quota)


class FusebillSimulator:
    """The Fusebill service on a loopback port, for tests and as a sandbox.

        async with FusebillSimulator() as fusebill:
            fusebill.add_customer(id=1, status="Draft")
            fusebill.inject(Fault.reset_after_effect(operation="activate"))
            ...
            assert fusebill.effects("activate", 1) == 1

    Args:
        host: the address to listen on.
        port: 0 is any free one.
        customers: how many customers are generated, with ids from 1 and a fixed mix of statuses.
        customers_status: one status for all generated customers in place of the mix.
        api_key: the only key that is let in; None lets every well-formed one in.
        quota: the limits of the account; None is a generous one that no test meets.
        latency: seconds that every answer takes; effects happen when the request was read.
        seed: of everything that is left to chance.
        bump_modified_on_status: whether an operation that changes the status touches `modifiedTimestamp`.
        conflict_status: the status of a refusal for the service status: 400 as in the samples, or 409.
        enforce_states: False lets every operation work from every status.
        state: a SQLite file in which the customers are kept, so that they survive a restart and a kill. One
            simulator at a time can have it open.
        record_requests: whether `requests` keeps the last 10,000 requests.
        log: is told a line for each request: what was asked, and what was answered or struck.
        log_size: how many effects `effects_log` keeps; None is all.
        clock: the wall clock, in place of the computer's.
        clock_skew: how far the clocks of `Date`, database and limiter are apart; by default they agree.
        template: how made-up customers look.
        paging: how lists are paged.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        customers: int = 0,
        customers_status: Status | str | None = None,
        api_key: str | None = None,
        quota: SimulatorQuota | None = None,
        latency: float = 0.0,
        seed: int = 0,
        bump_modified_on_status: bool = True,
        conflict_status: int = 400,
        enforce_states: bool = True,
        state: str | PathLike[str] | None = None,
        record_requests: bool = True,
        log: Callable[[str], None] | None = None,
        log_size: int | None = None,
        clock: Callable[[], datetime] | None = None,
        clock_skew: ClockSkew | None = None,
        template: Template | None = None,
        paging: Paging | None = None,
    ) -> None:
        check_names({} if customers_status is None else {"status": customers_status})
        self.latency = latency
        self.quota = quota or SimulatorQuota(per_minute=_GENEROUS, per_day=1000 * _GENEROUS)
        self.requests: deque[Request] = deque(maxlen=_REQUESTS_KEPT)
        self._record_requests = record_requests
        self._log = log
        self._host, self._wanted_port = host, port
        self._template = template or Template()
        self.clock_skew = clock_skew or ClockSkew()
        self._clock = Clock(clock, self.clock_skew.database)
        self._effect_log = EffectLog(log_size)
        self._asserted: dict[tuple[str, int | None], int] = {}
        self._faults = FaultScript(seed)
        self._store = CustomerStore(self._template, customers, customers_status, Path(state) if state else None)
        behaviour = Behaviour(
            api_key=api_key,
            conflict_status=conflict_status,
            bump_modified_on_status=bump_modified_on_status,
            enforce_states=enforce_states,
            template=self._template,
            paging=paging or Paging(),
        )
        self.service = Service(behaviour, self._store, self._effect_log, self._clock)
        self._server = Server(self)
        self._late: dict[object, asyncio.TimerHandle] = {}
        self._no_late: asyncio.Event | None = None
        self._gate: str | None = None
        self._gated: list[Callable[[], None]] = []
        self._reopening: asyncio.TimerHandle | None = None

    # -- life ----------------------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Listen."""
        self._store.open()
        await self._server.start(self._host, self._wanted_port)
        return self

    async def aclose(self) -> None:
        """End every connection, drop the effects that are still to come, and save the state."""
        self._cancel_reopening()
        for handle in self._late.values():
            handle.cancel()
        self._late.clear()
        self._signal_late()
        await self._server.stop()
        self._store.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def base_url(self) -> str:
        """The address for the client, such as http://127.0.0.1:40001/v1."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}{PREFIX}"

    def now(self) -> datetime:
        """Return the service's time."""
        return self._clock.now()

    # -- customers -----------------------------------------------------------------------------------------

    def add_customer(
        self,
        *,
        id: int | None = None,  # noqa: A002  # the API's own name
        raw: Mapping[str, bytes] | None = None,
        **fields: Any,
    ) -> int:
        """Add a customer, or put one in the place of another; return its id. What is not given is made up.

        Args:
            id: the next free one by default.
            raw: keys, also unknown ones, with the exact JSON text of their values: `{"rate": b"10.000000"}`.
            **fields: the API's names or their snake_case; an object merges into the template's.

        Raises:
            ValueError: no field has this name, or no customer this status; what the API does not know goes in `raw`.
        """
        check_names(fields)
        customer_id = self._store.new_id() if id is None else id
        customer = StoredCustomer(customer_id, self._template.fields(customer_id))
        customer.change(fields)
        customer.set(dict(raw or {}))
        self._store.add(customer)
        return customer_id

    def customer(self, customer_id: int) -> dict[str, Any]:
        """Return a customer as it would be served; numbers with a point are Decimals.

        Raises:
            KeyError: there is none.
        """
        document: dict[str, Any] = json.loads(self.customer_bytes(customer_id), parse_float=Decimal)
        return document

    def customer_bytes(self, customer_id: int) -> bytes:
        """Return the bytes of a customer as they would be served, but for indentation.

        Raises:
            KeyError: there is none.
        """
        return self._stored(customer_id).body

    def change(self, customer_id: int, *, raw: Mapping[str, bytes] | None = None, **fields: Any) -> None:
        """Edit a customer as somebody else would, the status included; `modifiedTimestamp` moves.

        Raises:
            KeyError: there is none.
            ValueError: no field has this name, or no customer this status; what the API does not know goes in `raw`.
        """
        check_names(fields)
        customer = self._stored(customer_id)
        touched = {} if "modifiedTimestamp" in map(wire_key, fields) else {"modifiedTimestamp": self._clock.stamp()}
        customer.change(fields)
        customer.set(touched | dict(raw or {}))
        self._store.changed(customer)

    @property
    def customer_ids(self) -> list[int]:
        """The ids of all customers, ascending."""
        return self._store.ids()

    def invoices(self, customer_id: int) -> int:
        """Return how many invoices activations and ends of holds made for a customer."""
        return self.service.invoices[customer_id]

    def add_route(
        self, method: str, path: str, answer: Any, *, status: int = 200, content_type: str = JSON.decode()
    ) -> None:
        """Answer another endpoint, such as "/customers/1/subscriptions"; bytes go as they are, of any content type."""
        body = answer if isinstance(answer, bytes) else literal(answer)
        reply = Reply(status, body, content_type=content_type.encode())
        self.service.extra_routes[method.upper(), (PREFIX + path).lower().rstrip("/")] = reply

    def _stored(self, customer_id: int) -> StoredCustomer:
        customer = self._store.get(customer_id)
        if customer is None:
            raise KeyError(customer_id)
        return customer

    # -- what happened -------------------------------------------------------------------------------------

    def effects(self, operation: str, id: int | None = None) -> int:  # noqa: A002  # the API's own name
        """Return how often the effect of an operation happened, for one customer or for all.

        `operation` is "activate", "update" (every PUT), "hubspot.unlatch" ("unlatch"), "netsuite.latch" ...
        """
        return self._effect_log.effects(operation, id)

    def received(self, operation: str, id: int | None = None) -> int:  # noqa: A002  # the API's own name
        """Return how many requests of an operation were read to their end, also those that were refused."""
        return self._effect_log.received(operation, id)

    writes = received

    def assert_effects(self, operation: str, id: int | None = None, times: int = 1) -> None:  # noqa: A002
        """Fail unless the effect of an operation has happened so often, and show what arrived.

        Args:
            operation: as for `effects`.
            id: the customer; None is all of them.
            times: how often; 0 is never.

        Raises:
            AssertionError: it has happened more or less often.
        """
        title = title_of(operation)
        found = self._effect_log.effects(title, id)
        if found != times:
            raise AssertionError(f"{wrong_count(title, id, found, times)}\n{arrived(self.requests)}")
        self._asserted[title, id] = times

    def assert_nothing_unexpected(self, *, faults: bool = True, writes: bool = True) -> None:
        """Fail, and show what arrived, if something is left that a test did not mean. The pytest fixtures call it.

        Args:
            faults: whether each fault that was injected must have struck. `clear_faults` takes back those that wait.
            writes: whether each write must have been named, in a test that calls `assert_effects` at all; and none of
                those may have happened again since.

        Raises:
            AssertionError: it names all of that.
        """
        told = self.unexpected(faults=faults, writes=writes)
        if told:
            raise AssertionError("\n".join([*told, arrived(self.requests)]))

    def unexpected(self, *, faults: bool = True, writes: bool = True) -> list[str]:
        """Return what `assert_nothing_unexpected` would complain about, a sentence each."""
        told = never_struck(self._faults.never_struck) if faults else []
        return told + (unexpected_writes(self._effect_log, self._asserted) if writes and self._asserted else [])

    @property
    def effects_log(self) -> list[Effect]:
        """The effects in their order."""
        return list(self._effect_log.log)

    @property
    def faults_fired(self) -> list[Fired]:
        """The faults that struck, in their order."""
        return self._faults.fired

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._server.opened

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self._server.connections)

    @property
    def bytes_received(self) -> int:
        """How many bytes came in, over all connections."""
        return self._server.bytes_received

    def clear_records(self) -> None:
        """Forget the requests and the ledger; customers and faults stay."""
        self.requests.clear()
        self._effect_log.clear()
        self._faults.fired.clear()
        self._asserted.clear()

    # -- faults --------------------------------------------------------------------------------------------

    def inject(self, *faults: Fault) -> None:
        """Let faults wait for their victims. Faults of the listening socket begin now."""
        for fault in faults:
            if fault.kind == "lagging_read":
                self._store.keep_versions(self._clock.seconds)
            if fault.level != "listen":
                self._faults.add(fault)
                continue
            self._faults.fired.append(Fired(fault, "", None, self._clock.seconds(), 0))
            if fault.kind == "refuse":
                self._server.stop_listening()
            else:
                self._server.fill_backlog()
            self._cancel_reopening()
            if fault["seconds"] is not None:
                loop = asyncio.get_running_loop()
                self._reopening = loop.call_later(fault["seconds"], self._server.listen_again)

    def clear_faults(self) -> None:
        """Forget the faults that wait, and listen again. Late effects that were promised still come."""
        self._faults.clear()
        self._cancel_reopening()
        self._server.listen_again()

    def close_idle_connections(self, *, reset: bool = False) -> None:
        """End the connections that wait for a request, as a server does after a while: with FIN or RST."""
        if reset:
            self._server.reset_connections(idle_only=True)
        else:
            self._server.close_connections(idle_only=True)

    @contextmanager
    def hold_open(self, operation: str | None = None) -> Generator[None]:
        """Read requests but do nothing about them until the block ends; then each is answered."""
        self._gate = "" if operation is None else title_of(operation)
        try:
            yield
        finally:
            self._gate = None
            gated, self._gated = self._gated, []
            for release in gated:
                release()

    @property
    def held_open(self) -> int:
        """How many requests wait in `hold_open`."""
        return len(self._gated)

    def perform_later(self, seconds: float, request: Request) -> None:
        """Let a request have its effect after some seconds."""
        promise = object()

        def perform() -> None:
            del self._late[promise]
            self.service.answer(request)
            self._signal_late()

        self._late[promise] = asyncio.get_running_loop().call_later(seconds, perform)

    @property
    def late_effects(self) -> int:
        """How many effects are still to come."""
        return len(self._late)

    async def wait_for_late_effects(self) -> None:
        """Return when every late effect has come."""
        while self._late:
            self._no_late = self._no_late or asyncio.Event()
            await self._no_late.wait()

    def _signal_late(self) -> None:
        if not self._late and self._no_late is not None:
            self._no_late.set()
            self._no_late = None

    def _cancel_reopening(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None

    # -- what the server asks ------------------------------------------------------------------------------

    def accepted(self, number: int) -> Script | None:
        """Say what befalls a new connection."""
        fault = self._faults.strike("accept", self._clock.seconds(), number) if self._faults else None
        return None if fault is None else connection_script(fault)

    def first_bytes(self, number: int) -> Script | None:
        """Say what befalls a connection on its first bytes."""
        fault = self._faults.strike("first_bytes", self._clock.seconds(), number) if self._faults else None
        return None if fault is None else connection_script(fault)

    def standing(self, *, quota: bool = True) -> bytes:
        """Return the header lines that every answer carries."""
        now, skew = self._clock.seconds(), self.clock_skew
        date = now + (skew.date or 0.0)
        if not quota:
            return b"" if skew.date is None else self.quota.date_line(date)
        lines = self.quota.header_lines(now + skew.limiter, date)
        return lines.partition(b"\r\n")[2] if skew.date is None else lines

    def respond(self, request: Request, connection: Connection) -> bytes | Script | None:
        """Answer a request, or say what befalls it."""
        identify(request)
        fault = self._strike(request) if self._faults else None
        if fault is not None and fault.options[:1] == (("of", "request"),):
            # It was cut before its end, so it never reached the service.
            self._tell(request, fault.kind)
            return SCRIPTS[fault.kind](fault, _Exchange(self, request))
        request.fate = "" if fault is None else repr(fault)
        self._note(request)
        if self._gate is not None and self._gate in {"", request.operation}:
            self._gated.append(lambda: connection.resume(self._answer(request, fault)))
            return None
        answer = self._answer(request, fault)
        return answer if self.latency <= 0 else self._delayed(answer)

    def _delayed(self, answer: bytes | Script) -> Script:
        steps = iter((answer,)) if isinstance(answer, bytes) else answer
        # The first step is taken at once, since the effect comes with it: only the answer is late.
        first = next(steps, b"")
        return chain((self.latency, first), steps)

    def _answer(self, request: Request, fault: Fault | None) -> bytes | Script:
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            # A browser asks without the key whether it may ask.
            return self._rendered(request, Reply(200, headers=_PREFLIGHT))
        refusal = self.service.admit(request)
        if refusal is not None:
            return self._rendered(request, refusal)
        if fault is not None:
            self.quota.take(self._limiter_time(), request.method, request.path)
            self._tell(request, fault.kind)
            return SCRIPTS[fault.kind](fault, _Exchange(self, request))
        full = self.quota.take(self._limiter_time(), request.method, request.path)
        reply = self.service.answer(request) if full is None else api_error(429, (API_ERROR, _LIMITS[full]))
        return self._rendered(request, reply)

    def _tell(self, request: Request, followed: object) -> None:
        if self._log is not None:
            what = request.operation or "no operation of the API's table"
            whom = "" if request.customer_id is None else f" of customer {request.customer_id}"
            self._log(f"{request.method} {request.target}  {what}{whom}  {followed}")

    def _rendered(self, request: Request, reply: Reply) -> bytes:
        self._tell(request, reply.status)
        standing = self.standing()
        if "origin" in request.headers:
            standing += b"Access-Control-Allow-Origin: *\r\n"
        request.fate = f"answered {reply.status}"
        answer = render(reply, standing)
        # The head of an answer tells how long its body would be.
        return answer[: len(answer) - len(reply.body)] if request.method == "HEAD" else answer

    def _limiter_time(self) -> float:
        return self._clock.seconds() + self.clock_skew.limiter

    def _strike(self, request: Request) -> Fault | None:
        at = self._clock.seconds()
        return self._faults.strike("request", at, request.connection, request.operation, request.customer_id)

    def _note(self, request: Request) -> None:
        request.at = self._clock.seconds()
        if request.operation:
            self._effect_log.receive(request.operation, request.customer_id)
        if self._record_requests:
            self.requests.append(request)
