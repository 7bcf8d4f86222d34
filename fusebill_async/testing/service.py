"""What the service does with a request: the operations of the table, their states, refusals and effects."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping

import attrs
import msgspec

from fusebill_async import operations as table
from fusebill_async.models.enums import ServiceStartOption, Status
from fusebill_async.operations import FieldIs, FieldsAre, FieldsAreNull, Operation
from fusebill_async.testing.clock import Clock
from fusebill_async.testing.customers import (
    NULL,
    StoredCustomer,
    Template,
    check_fields,
    check_put,
    choice,
    splice,
    text_of,
)
from fusebill_async.testing.effect_log import Effect, EffectLog
from fusebill_async.testing.indenting import indented
from fusebill_async.testing.invoices import invoice_preview, posted_invoice
from fusebill_async.testing.listing import Listing, Paging
from fusebill_async.testing.messages import JSON, NotAnObjectError, Reply, Request
from fusebill_async.testing.refusals import (
    ALREADY_LATCHED,
    API_ERROR,
    BAD_KEY,
    NO_KEY,
    NO_NETSUITE_ACCOUNT,
    NOT_FOUND,
    WRONG_STATUS,
    RefusedError,
    api_error,
    message,
    refuse,
)
from fusebill_async.testing.routing import ID_KEYS, body_flag, check_parameters, is_known
from fusebill_async.testing.store import CustomerStore, Replica

_log = logging.getLogger(__name__)
_KEY = re.compile(r"Basic +([A-Za-z0-9+/=_\-.~:{} ]+)", re.IGNORECASE)
# Two reads that are not in the table: enough to show that any endpoint can be asked for.
_RELATED = re.compile(r"/v1/(?:customers/(\d{1,18})/subscriptions|customerbillingsetting/(\d{1,18}))", re.ASCII)
_SUBSCRIPTIONS = (
    b'[{"id":%d,"customerId":%d,"planCode":"monthly","status":"%b","quantity":1.000000,"amount":25.980000,'
    b'"createdTimestamp":"2018-01-01T03:33:33.02"}]'
)
_SUBSCRIPTION_STATUS: dict[str, bytes] = {Status.HOLD: b"Suspended"}
"""Where a customer's subscription has another status than the customer."""
_BILLING = b'{"id":%d,"customerId":%d,"invoiceDay":1,"term":"Net0","interval":"Monthly","autoCollect":true}'
_OVERVIEW = ("title", "firstName", "middleName", "lastName", "suffix", "primaryEmail", "primaryPhone",
             "companyName", "reference", "createdTimestamp", "status")  # fmt: skip


@attrs.frozen(kw_only=True)
class Behaviour:
    """What can be chosen about the service.

    Attributes:
        api_key: the only key that is let in; None lets every well-formed key in.
        conflict_status: the status of a refusal for the service status: 400 as the samples have it, or 409.
        bump_modified_on_status: whether an operation that changes the status touches `modifiedTimestamp`.
        enforce_states: whether an operation is refused from a status that the table does not name.
        default_currency: what a PUT without a currency sets.
        side_effects_key: the key that holds the invoices under view=sideeffects; the real one is not known.
        template: how made-up customers look.
        paging: how lists are paged.
    """

    api_key: str | None = None
    conflict_status: int = 400
    bump_modified_on_status: bool = True
    enforce_states: bool = True
    default_currency: str = "USD"
    side_effects_key: str = "invoices"
    template: Template = attrs.field(factory=Template)
    paging: Paging = attrs.field(factory=Paging)


_NO_OPERATION = "No HTTP resource was found that matches the request URI '{path}'."


class Service:
    """The behaviour, without a socket: `admit` a request that was identified, then `answer` it."""

    def __init__(self, behaviour: Behaviour, store: CustomerStore, effect_log: EffectLog, clock: Clock) -> None:
        self.behaviour = behaviour
        self.store = store
        self.effect_log = effect_log
        self.clock = clock
        self.extra_routes: dict[tuple[str, str], Reply] = {}
        self.invoices: Counter[int] = Counter()
        self._listing = Listing(store, behaviour.paging)
        self._admitted: set[str] = set()

    def admit(self, request: Request) -> Reply | None:
        """Return the refusal of a request without a good key, None if it may come in."""
        given = request.headers.get("authorization")
        if given in self._admitted:
            return None
        if not given:
            return api_error(401, (API_ERROR, NO_KEY), headers=b"X-AuthorizationFailed: true\r\n")
        found = _KEY.fullmatch(given)
        if found is None:
            return api_error(400, (API_ERROR, BAD_KEY))
        if self.behaviour.api_key is not None and found[1] != self.behaviour.api_key:
            return api_error(401, (API_ERROR, NO_KEY), headers=b"X-AuthorizationFailed: true\r\n")
        self._admitted.add(given)
        return None

    # -- the answer ----------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """Do what is asked and return the answer; a refusal is an answer too."""
        try:
            reply = self._answer(request)
        except (RefusedError, NotAnObjectError) as error:
            reply = _reply_to(error)
        except Exception:  # noqa: BLE001  # a bug of the simulator, or a full disk under its state
            # As the service does: an accident ends one request, not the connection of a client.
            _log.exception("the simulator could not answer %s %s", request.method, request.path)
            return message(500, "An error has occurred.").reply
        if self.behaviour.template.pretty and reply.body and reply.content_type == JSON:
            return attrs.evolve(reply, body=indented(reply.body))
        return reply

    def answer_behind(self, request: Request, seconds: float) -> Reply:
        """Answer a read as a replica does that is some seconds behind."""
        replica = Replica(self.store, self.clock.seconds() - seconds)
        return Service(self.behaviour, replica, self.effect_log, self.clock).answer(request)

    def refusal(self, request: Request) -> Reply | None:
        """Return the refusal that a request about a customer would meet, None if it would be carried out."""
        operation = table.BY_TITLE.get(request.operation)
        if operation is None or request.customer_id is None:
            return None
        try:
            self._check(operation, self._customer(operation, request), request)
        except (RefusedError, NotAnObjectError) as error:
            return _reply_to(error)
        return None

    def present(self, customer_id: int) -> Reply:
        """Return what a read would answer; a customer that does not exist is made up."""
        customer = self.store.get(customer_id)
        return Reply(200, customer.body if customer else splice(self.behaviour.template.fields(customer_id)))

    def _answer(self, request: Request) -> Reply:
        if not request.operation:
            return self._extra(request)
        operation = table.BY_TITLE[request.operation]
        if operation is table.LIST:
            return self._listing.answer(request.options)
        if operation is table.CREATE:
            return self._create(request)
        customer = self._customer(operation, request)
        if operation is table.GET:
            return Reply(200, customer.body)
        if operation is table.OVERVIEW:
            return self._overview(customer)
        if operation is table.UPDATE:
            return self._update(operation, customer, request)
        return self._verb(operation, customer, request)

    def _customer(self, operation: Operation, request: Request) -> StoredCustomer:
        if request.customer_id is None:
            if "{id}" in operation.path:
                raise message(404, _NO_OPERATION.format(path=request.path))
            raise refuse(400, f"{ID_KEYS[operation.title]} is required.")
        customer = self.store.get(request.customer_id)
        if customer is None:
            raise refuse(404, NOT_FOUND.format(id=request.customer_id))
        return customer

    def _extra(self, request: Request) -> Reply:
        path = request.path.lower().rstrip("/")
        reply = self.extra_routes.get((request.method, path))
        if reply is not None:
            return reply
        related = _RELATED.fullmatch(path)
        if related is not None and request.method == "GET":
            return self._related(related[1] or related[2], request, billing=related[2] is not None)
        if is_known(path):
            text = f"The requested resource does not support http method '{request.method}'."
            raise message(405, text)
        raise message(404, _NO_OPERATION.format(path=request.path))

    def _related(self, identifier: str, request: Request, *, billing: bool) -> Reply:
        """Answer a read beyond the table, for `client.request`."""
        customer = self.store.get(int(identifier))
        if customer is None:
            raise refuse(404, NOT_FOUND.format(id=identifier))
        if billing:
            return Reply(200, _BILLING % (customer.id, customer.id))
        # A subscription goes with its customer: a hold suspends it (FACTS 5).
        status = _SUBSCRIPTION_STATUS.get(customer.status, customer.status.encode())
        name, _, wanted = request.options.get("query", "").partition(":")
        if name.lower() == "status" and status.decode().lower() not in wanted.lower().split(","):
            return Reply(200, b"[]")
        return Reply(200, _SUBSCRIPTIONS % (customer.id, customer.id, status))

    # -- customers -----------------------------------------------------------------------------------------

    def _overview(self, customer: StoredCustomer) -> Reply:
        fields = {key: customer.fields[key] for key in _OVERVIEW if key in customer.fields}
        return Reply(200, splice(fields | {"arBalance": b"0.0000", "availableFunds": b"0.0000"}))

    def _create(self, request: Request) -> Reply:
        sent = request.fields if request.body.strip() else {}
        check_fields(sent)
        self._check_user_name(sent, None)
        customer_id = self.store.new_id()
        customer = StoredCustomer(customer_id, self.behaviour.template.blank(customer_id))
        # The rules of a PUT on a blank customer: what is not sent stays null.
        customer.replace(
            {key: value for key, value in sent.items() if key != "status"}, self.behaviour.default_currency
        )
        stamp = self.clock.stamp()
        # Z right after create, no zone on every later read (FACTS 6).
        customer.set({"modifiedTimestamp": stamp, "createdTimestamp": stamp})
        body = customer.body
        customer.set({"createdTimestamp": stamp.replace(b"Z", b"")})
        self.store.add(customer)
        request.customer_id = customer_id
        self._record(table.CREATE, customer, request)
        return Reply(200, body)

    def _update(self, operation: Operation, customer: StoredCustomer, request: Request) -> Reply:
        self._check(operation, customer, request)
        customer.replace(request.fields, self.behaviour.default_currency)
        return self._changed(operation, customer, request, {})

    # -- verbs ---------------------------------------------------------------------------------------------

    def _verb(self, operation: Operation, customer: StoredCustomer, request: Request) -> Reply:
        self._check(operation, customer, request)
        if _previews(operation):
            return self._preview(customer, request)
        if operation.leads_to is not None:
            return self._transition(operation, customer, request)
        if operation.goal is None:
            return self._changed(operation, customer, request, {})
        changes = self._latch(operation, request)
        return self._changed(operation, customer, request, changes)

    def _check(self, operation: Operation, customer: StoredCustomer, request: Request) -> None:
        """Refuse what the page or the customer's state does not allow."""
        if operation is table.UPDATE:
            check_put(customer, request.fields)
            self._check_status(operation, customer)
            self._check_change_of_status(customer, request)
            self._check_user_name(request.fields, customer)
            return
        check_parameters(operation, request, preview=_previews(operation))
        self._check_status(operation, customer)
        if operation is table.SALESFORCE_LATCH:
            latched = customer.fields.get("salesforceId", NULL) != NULL
            if latched and not body_flag(request, "forceLatch"):
                raise refuse(400, ALREADY_LATCHED)
        if operation is table.NETSUITE_UNLATCH:
            given = text_of(request.fields.get("netsuiteid", NULL))
            if given != text_of(customer.fields.get("netsuiteId", NULL)):
                raise refuse(400, NO_NETSUITE_ACCOUNT.format(id=given))

    def _check_change_of_status(self, customer: StoredCustomer, request: Request) -> None:
        """Refuse a PUT that would do what no verb does, such as a hold of a draft."""
        wanted = choice(Status, text_of(request.fields["status"]))
        if wanted == customer.status or not self.behaviour.enforce_states:
            return
        for verb in table.OPERATIONS:
            if verb.leads_to == wanted and (verb.allowed_from is None or customer.status in verb.allowed_from):
                return
        raise refuse(self.behaviour.conflict_status, WRONG_STATUS.format(status=customer.status))

    def _check_user_name(self, sent: Mapping[str, bytes], owner: StoredCustomer | None) -> None:
        """Refuse a user name of the portal that somebody else has."""
        wanted = sent.get("portalusername", NULL)
        if not text_of(wanted) or (owner is not None and owner.fields.get("portalUserName") == wanted):
            return
        for other in self.store.scan():
            taken = text_of(other.fields.get("portalUserName", NULL)).lower() == text_of(wanted).lower()
            if taken and (owner is None or other.id != owner.id):
                raise refuse(400, f"Portal user name {text_of(wanted)} is already in use.")

    def _check_status(self, operation: Operation, customer: StoredCustomer) -> None:
        if operation.allowed_from is None or not self.behaviour.enforce_states:
            return
        if customer.status not in operation.allowed_from:
            raise refuse(self.behaviour.conflict_status, WRONG_STATUS.format(status=customer.status))

    def _transition(self, operation: Operation, customer: StoredCustomer, request: Request) -> Reply:
        changes = {"status": f'"{operation.leads_to}"'.encode()}
        touch = self.behaviour.bump_modified_on_status
        reply = self._changed(operation, customer, request, changes, touch=touch)
        if operation not in {table.ACTIVATE, table.RELEASE_HOLD}:
            return reply
        option = text_of(request.fields.get("servicestartoption", NULL))
        if option.lower() == ServiceStartOption.NO_CHARGES_FOR_MISSED_PERIODS.lower():
            return reply
        if body_flag(request, "temporarilyDisableAutoPost"):
            # The invoice stays a draft.
            return reply
        self.invoices[customer.id] += 1
        if request.options.get("view", "").lower() != "sideeffects":
            return reply
        invoice = posted_invoice(self.invoices.total(), customer.id, self.clock)
        return Reply(200, splice(customer.fields | {self.behaviour.side_effects_key: b"[%b]" % invoice}))

    def _preview(self, customer: StoredCustomer, request: Request) -> Reply:
        zero_dollar = request.options.get("showzerodollarcharges", "").lower() == "true" or body_flag(
            request, "showZeroDollarCharges"
        )
        invoice = invoice_preview(customer.id, self.clock, zero_dollar=zero_dollar)
        extra = {"invoicePreview": invoice, "additionalInvoicesForPreview": b"[%b]" % invoice}
        return Reply(200, splice(customer.fields | extra))

    def _latch(self, operation: Operation, request: Request) -> dict[str, bytes]:
        goal = operation.goal
        if isinstance(goal, FieldsAreNull):
            return dict.fromkeys(goal.keys, NULL)
        if isinstance(goal, FieldIs):
            return {goal.key: msgspec.json.encode(goal.value)}
        if isinstance(goal, FieldsAre):
            # What is left out is null, and null clears a mapping: FACTS 5 says so of HubSpot.
            return {key: request.fields.get(sent.lower(), NULL) for key, sent in goal.keys}
        raise TypeError(f"{operation.title} has a goal that the simulator cannot bring about")

    # -- what happened -------------------------------------------------------------------------------------

    def _changed(
        self,
        operation: Operation,
        customer: StoredCustomer,
        request: Request,
        changes: dict[str, bytes],
        *,
        touch: bool = True,
    ) -> Reply:
        if touch:
            changes["modifiedTimestamp"] = self.clock.stamp()
        customer.set(changes)
        self.store.changed(customer)
        self._record(operation, customer, request)
        return Reply(200, customer.body)

    def _record(self, operation: Operation, customer: StoredCustomer, request: Request) -> None:
        request.had_effect = True
        self.effect_log.record(Effect(operation.title, customer.id, self.clock.seconds(), request.connection))


def _previews(operation: Operation) -> bool:
    return bool(operation.fixed)


def _reply_to(error: RefusedError | NotAnObjectError) -> Reply:
    return error.reply if isinstance(error, RefusedError) else message(400, "The request is invalid.").reply
