"""The service of a world: the simulator under the misfortunes of the world, and everything that it does noted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fusebill_async.operations import BY_TITLE, Operation
from fusebill_async.testing import FusebillSimulator, Request, SimulatorQuota
from fusebill_async.testing.faults import LAGGING, Fault
from fusebill_async.testing.messages import Headers, Reply
from fusebill_async.testing.routing import identify
from fusebill_async.testing.scripts import Script
from fusebill_async.testing.server import Connection
from fusebill_async.testing.service import Service
from fusebill_async.wire.request import build_request
from tests.campaign.goals import stands
from tests.campaign.history import SOMEBODY_ELSE, Arrival, Effect, History
from tests.campaign.marking import HEADER, mark_of
from tests.campaign.misfortune import USABLE, Misfortune, name_of
from tests.campaign.surroundings import Surroundings

Note = Callable[[str, str, bytes], None]

_CREATED_FROM = 1_000


class _RecordedService(Service):
    """Tells of every effect."""

    world: WorldSimulator

    def answer(self, request: Request) -> Reply:
        """Do what is asked; see `Service.answer`."""
        request.performed = getattr(request, "performed", 0) + 1  # type: ignore[attr-defined]
        count = len(self.effect_log.log)
        reply = super().answer(request)
        if len(self.effect_log.log) > count:
            self.world.note_effect(request, self.effect_log.log[-1].customer_id)
        return reply


class WorldSimulator(FusebillSimulator):
    """The service, and its history as it really was."""

    def __init__(self, surroundings: Surroundings, history: History, note: Note, clock: Callable[[], datetime]) -> None:
        quota = surroundings.quota
        super().__init__(
            seed=surroundings.seed,
            clock=clock,
            clock_skew=surroundings.skew,
            quota=None if quota is None else SimulatorQuota(per_minute=quota.per_minute, per_day=quota.per_day),
            record_requests=False,
        )
        self.history = history
        self.misfortune = Misfortune(surroundings, self._goal_stands, lambda: self.customer_ids)
        self._faults = self.misfortune
        self._note_event = note
        plain = self.service
        recorded = _RecordedService(plain.behaviour, plain.store, plain.effect_log, plain.clock)
        recorded.world = self
        self.service = recorded
        self._store.keep_versions(self._clock.seconds)
        self._store._next_id = _CREATED_FROM
        self._arrivals: dict[int, Arrival] = {}

    def seconds(self) -> float:
        """The true time."""
        return self._clock.seconds()

    def accepted(self, number: int) -> Script | None:
        """Say what befalls a new connection, and note it."""
        stalls = self.misfortune.counts["stall_connect"]
        script = super().accepted(number)
        if self.misfortune.counts["stall_connect"] > stalls:
            self.history.stalled.add(number)
        return script

    def _spoke_unasked(self, connection: int) -> bool:
        """Whether an answer that nobody asked for stands before the next one, which then reaches nobody."""
        arrived = self._arrivals.values()
        return any(one.connection == connection and one.fault.startswith("unsolicited_answer") for one in arrived)

    # -- requests ------------------------------------------------------------------------------------------

    def respond(self, request: Request, connection: Connection) -> bytes | Script | None:
        """Answer a request, and note what comes of it."""
        identify(request)
        client, call = mark_of(request.headers.get(HEADER))
        at = self.seconds()
        arrival = Arrival(at, request.operation, request.customer_id, request.connection, request.body, client)
        self._arrivals[id(request)] = arrival
        request.arrival = arrival  # type: ignore[attr-defined]
        operation = BY_TITLE.get(request.operation)
        seen = self.history.seen[call]
        (seen.writes if operation is None or operation.writes else seen.reads).append(arrival)
        self.history.arrived.append((at, client, request.connection, request.operation))
        self._note_event(
            f"call {call} ({client})",
            f"{request.method} {request.target} arrives on {request.connection}",
            request.body,
        )
        refused = self.quota.refusals
        self.misfortune.request = request
        try:
            answer = super().respond(request, connection)
        finally:
            self.misfortune.request = None
        if self.quota.refusals > refused and not arrival.fault:
            if not self._spoke_unasked(request.connection):
                self.history.refused.append((at, client))
            arrival.status = 429
        elif not arrival.fault:
            self._note_shown(arrival, 0.0)
        who = f"service to {call}"
        if isinstance(answer, bytes):
            arrival.answered = at
            arrival.status = int(answer[9:12])
            self._note_event(who, "answers" if not arrival.fault else arrival.fault, answer)
            return answer
        return None if answer is None else self._told(answer, arrival, who)

    def _told(self, script: Script, arrival: Arrival, who: str) -> Script:
        """The steps of a script, each noted when it is taken."""
        for step in script:
            if isinstance(step, bytes):
                arrival.answered = self.seconds()
                if arrival.status is None and step.startswith(b"HTTP/1.1 "):
                    arrival.status = int(step[9:12])
                self._note_event(who, f"answers, {arrival.fault}", step[:4096])
            else:
                self._note_event(who, f"{step}, {arrival.fault}", b"")
            yield step

    def _strike(self, request: Request) -> Fault | None:
        fault = super()._strike(request)
        arrival: Arrival = request.arrival  # type: ignore[attr-defined]
        if fault is not None:
            arrival.fault = name_of(fault)
            if fault.kind == "lagging_read":
                arrival.fault = f"{fault['seconds']} s behind"
                self._note_shown(arrival, fault["seconds"])
            elif fault.kind in USABLE:
                self._note_shown(arrival, 0.0)
        return fault

    def _note_shown(self, arrival: Arrival, behind: float) -> None:
        if arrival.operation in LAGGING and arrival.customer_id is not None:
            arrival.shown = self.history.place_at(arrival.customer_id, arrival.at - behind)
            arrival.missing = arrival.shown is None

    def _goal_stands(self, request: Request) -> bool:
        operation = BY_TITLE[request.operation]
        customer = None if request.customer_id is None else self._store.get(request.customer_id)
        return customer is not None and stands(operation, {}, self.customer(customer.id))

    # -- effects -------------------------------------------------------------------------------------------

    def note_effect(self, request: Request, customer_id: int) -> None:
        """Note an effect that a request has just had."""
        at, body = self.seconds(), self.customer_bytes(customer_id)
        _, call = mark_of(request.headers.get(HEADER))
        by = SOMEBODY_ELSE if request.connection == SOMEBODY_ELSE else call
        place = self.history.add(at, customer_id, body, by, request.operation)
        arrival: Arrival | None = getattr(request, "arrival", None)
        if arrival is not None:
            arrival.customer_id = customer_id
            arrival.effects.append(Effect(at, customer_id, place - 1, place, copy=request.performed > 1))
        self._note_event(
            _name(by), f"{request.operation} of {customer_id} takes effect: {self._changed(customer_id)}", b""
        )

    def add_known(self, status: str, by: int) -> int:
        """Add a customer to the world."""
        customer_id = self.add_customer(status=status)
        self.history.add(self.seconds(), customer_id, self.customer_bytes(customer_id), by)
        return customer_id

    def change_as_somebody_else(self, customer_id: int, **fields: Any) -> None:
        """Let somebody else edit a customer."""
        self.change(customer_id, **fields)
        self.history.add(self.seconds(), customer_id, self.customer_bytes(customer_id), SOMEBODY_ELSE, "edit")
        self._note_event("somebody else", f"edits {customer_id}: {self._changed(customer_id)}", b"")

    def act_as_somebody_else(self, operation: Operation, customer_id: int, **arguments: Any) -> None:
        """Let somebody else carry out an operation."""
        asked = build_request(operation, customer_id, **arguments)
        target = "/v1" + asked.target
        request = Request(asked.method, target, target.partition("?")[0], Headers([]), asked.body or b"", SOMEBODY_ELSE)
        identify(request)
        self.service.answer(request)

    def _changed(self, customer_id: int) -> str:
        *_, before, after = [None, *self.history.versions[customer_id]]
        if before is None:
            return "made"
        paths = sorted({*before.leaves, *after.leaves})
        return ", ".join(
            f"{path} {before.leaves.get(path)!r} -> {after.leaves.get(path)!r}"
            for path in paths
            if before.leaves.get(path) != after.leaves.get(path)
        )


def _name(by: int) -> str:
    return "somebody else" if by == SOMEBODY_ELSE else f"call {by}"
