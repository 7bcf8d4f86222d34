"""What every resource of a client stands on: reads and writes under the client's options."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import attrs

from fusebill_async.converting import decode_json
from fusebill_async.errors import RequestTimeoutError
from fusebill_async.models import Activation, Customer
from fusebill_async.operations import GET, MAY_BE_SENT_AGAIN, Operation
from fusebill_async.policy.retry import backoff
from fusebill_async.session.call import Call, CallOptions
from fusebill_async.session.manager import SessionManager
from fusebill_async.settings import QuotaPolicy
from fusebill_async.settling.keys import CallKey, call_key
from fusebill_async.settling.response import Response, response_of
from fusebill_async.settling.seen import LastSeen, Reading, lags_behind, modified_text
from fusebill_async.settling.write import Write
from fusebill_async.settling.writing import Writing, WritingSetup
from fusebill_async.wire.request import Request, build_request, check_id, named_in_body

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class ClientCore:
    """The shared parts of a client, with the options of this client or of one from `with_options`.

    Attributes:
        base_url: of the service.
        quota_policy: how the quota is used.
        setup: what all its writes share.
        writing: what acts on those that its store records.
        options: of its calls.
    """

    base_url: str
    quota_policy: QuotaPolicy
    setup: WritingSetup
    writing: Writing
    options: CallOptions

    @property
    def session(self) -> SessionManager:
        """Sends what changes nothing."""
        return self.setup.session

    @property
    def seen(self) -> LastSeen:
        """What was seen of customers."""
        return self.setup.seen

    async def read(self, operation: Operation, customer_id: int | None, **arguments: Any) -> Response[Any]:
        """Carry out an operation that changes nothing."""
        request = build_request(operation, customer_id, **arguments)
        call = Call(operation, customer_id, request, self.options)
        answer = await self.session.read(call)
        if isinstance(answer.value, (Customer, Activation)):
            # A preview shows the customer as it stands, too.
            self.seen.remember(Reading.of(answer.value, answer.sent_at))
        return response_of(answer)

    async def read_newest(self, customer_id: int, base: bytes | None = None) -> Response[Customer]:
        """Read a customer; again, as long as a read is older than what was seen of it.

        Args:
            customer_id: the customer.
            base: what the caller handed in: a read that is older lags behind, too.

        Raises:
            RequestTimeoutError: no other read came within the call's time.
        """
        effects, total = self.session.effects, self.options.timeouts.total
        until, times = effects.now() + total, 0
        handed_in = None if base is None else modified_text(base)
        while True:
            response: Response[Customer] = await self.read(GET, customer_id)
            newest = self.seen.newest(customer_id, effects.now())
            if not lags_behind(Reading.of(response.value).modified, newest, handed_in):
                return response
            times += 1
            pause = backoff(self.options.retry, times, effects.random())
            if effects.now() + pause >= until:
                raise RequestTimeoutError(
                    f"customer {customer_id} could not be read within {total:g} s: every read was older than what was "
                    "seen of it",
                    operation=GET.title,
                    customer_id=customer_id,
                )
            await effects.sleep(pause)

    async def write(
        self,
        operation: Operation,
        customer: int | Customer,
        *,
        resend: bool = False,
        idempotency_key: str | None = None,
        **arguments: Any,
    ) -> Response[Any]:
        """Carry out an operation that acts on a customer.

        Pass a customer that was read before, instead of an id: a lost answer is then attributed by comparing with it.
        """
        # `build_request` checks the id.
        handed_in = customer if isinstance(customer, Customer) else None
        customer_id = customer.id if isinstance(customer, Customer) else customer
        write = self.write_of(operation, customer_id, arguments, resend=resend)
        assert write.call.request is not None
        write.key = self.key_of(idempotency_key, operation, customer_id, write.call.request)
        if handed_in is not None and handed_in.wire is not None:
            write.knows(Reading.of(handed_in), recent=True)
        return await self.writing.writer.write(write)

    def write_of(
        self, operation: Operation, customer_id: int, arguments: Mapping[str, Any], *, resend: bool = False
    ) -> Write:
        """The write of an operation that acts on a customer, not begun yet."""
        return Write(
            Call(operation, customer_id, build_request(operation, customer_id, **arguments), self.options),
            named_in_body(operation, arguments),
            resend=resend or operation.safety in MAY_BE_SENT_AGAIN,
        )

    def key_of(
        self, idempotency_key: str | None, operation: Operation, customer_id: int | None, request: Request
    ) -> CallKey | None:
        """The idempotency key of a call that sends this request; None if it was given none."""
        if idempotency_key is None:
            return None
        body = None if request.body is None else decode_json(request.body)
        asked = [request.method, request.target, body]
        return call_key(idempotency_key, operation, customer_id, asked, now=self.session.effects.wall())


def identify(customer: int | Customer) -> tuple[int, bytes | None]:
    """The id of a customer, and its wire form if the caller has it."""
    if isinstance(customer, Customer):
        return check_id(customer.id, field="customer.id"), customer.wire
    return check_id(customer), None


R_co = TypeVar("R_co", covariant=True)


class HasResponses(Protocol[R_co]):
    """A resource of plain verbs: it holds the one whose verbs give responses."""

    @property
    def with_response(self) -> R_co:
        """The same verbs, each giving a `Response`."""
        ...


R = TypeVar("R")


def value_of(
    verb: Callable[Concatenate[R, P], Awaitable[Response[T]]],
) -> Callable[Concatenate[HasResponses[R], P], Coroutine[Any, Any, T]]:
    """The plain verb that belongs to a verb with a response: the same signature, and the value alone."""

    @wraps(verb)
    async def plain(resource: HasResponses[R], /, *arguments: P.args, **options: P.kwargs) -> T:
        return (await verb(resource.with_response, *arguments, **options)).value

    return plain
