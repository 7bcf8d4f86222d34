"""`client.customers`."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Unpack

from fusebill_async.errors import ValidationError
from fusebill_async.models import (
    Activation,
    CancellationOption,
    Customer,
    NewCustomerFields,
    Overview,
    ServiceStartOption,
    UpdateFields,
)
from fusebill_async.operations import (
    ACTIVATE,
    ACTIVATE_ITEMS,
    CANCEL,
    GET,
    HOLD,
    OVERVIEW,
    PREVIEW_ACTIVATE_ITEMS,
    PREVIEW_ACTIVATION,
    PREVIEW_RELEASE_HOLD,
    RELEASE_HOLD,
    UNCANCEL,
    UPDATE,
)
from fusebill_async.resources.core import ClientCore, value_of
from fusebill_async.resources.creating import create_customer
from fusebill_async.resources.listing import CustomerList, Query, find_customers
from fusebill_async.resources.updates import (
    Check,
    Edit,
    carry_out,
    make_planned,
    make_replacement,
    make_update,
    plan_update,
)
from fusebill_async.settling.response import Response
from fusebill_async.updating.merging import UpdatePlan


class CustomersWithResponse:
    """The verbs of `client.customers`, each giving a `Response`: the value, and what it rests on.

    A `customer_id` is an id (an int from 1 to 2**63 - 1), or a `Customer` that was read before: it then also tells
    whether this call caused the effect, if the answer is lost.

    Every verb raises a `FusebillError` with the true outcome. A write whose answer is lost is settled by reading
    the customer; only while that fails too is the outcome unknown (`OutcomeUnknownError`).
    """

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    async def get(self, customer_id: int) -> Response[Customer]:
        """Read a customer.

        Args:
            customer_id: 1 to 2**63 - 1.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/customer-object
        """
        return await self._core.read(GET, customer_id)

    async def overview(self, customer_id: int) -> Response[Overview]:
        """Read a customer's short form: name, address, status, and the balances (in `Overview.extra`).

        Args:
            customer_id: 1 to 2**63 - 1.

        Raises:
            NotFoundError: there is no such customer.

        API page: https://developer.staxbill.com/reference/read-customer-overview-1
        """
        return await self._core.read(OVERVIEW, customer_id)

    def list(
        self,
        query: Query = None,
        *,
        page_size: int = 1000,
        sort: str = "id",
        limit: int | None = None,
        prefetch: bool = True,
    ) -> CustomerList:
        """List customers: `async for customer in client.customers.list(query={"status": "Active"})`.

        The list is read page by page while it is iterated, in constant memory (in another order than that of ids, the
        ids that were given are remembered); `.pages()` gives the pages, with
        what their headers say. A customer that is in the list all the time is given once, also while others join
        it. While customers leave it (a list of the active ones whose members are being held, say), the default
        order lets the client see and mend that, at the price of more requests, unless as many join meanwhile.

        Args:
            query: names of https://developer.staxbill.com/reference/list-customers, in any case or in snake_case,
                with values that must all hold. A list or a set means any of its values (for ids and choices such
                as `status`), a tuple of two a range of dates or decimals whose end does not belong to it (None is
                open), None what is empty, and `*` in a text any characters. Times are UTC. A text is sent as it is.
            page_size: customers asked for at once, 1 to 1,000.
            sort: one of the names, or "id"; "-" before it means descending.
            limit: customers given at most, at least 1; None is all.
            prefetch: ask for the next page while this one is worked on.

        Raises:
            ValidationError: an unknown name, or a value that cannot stand in a query; `.field` says which.
            FusebillError: while it is iterated, from the request of a page.

        API page: https://developer.staxbill.com/reference/list-customers
        """
        return CustomerList(self._core, query=query, page_size=page_size, sort=sort, limit=limit, prefetch=prefetch)

    async def find(self, *, reference: str) -> Response[builtins.list[Customer]]:
        """Find the customers with a reference. References are not unique.

        Args:
            reference: compared exactly; 1 to 255 characters, without `: ; , | *`, which no query can hold.

        Returns:
            The customers by ascending id; an empty list if there is none.

        Raises:
            ValidationError: a reference that cannot be searched for.

        API page: https://developer.staxbill.com/reference/list-customers
        """
        return await find_customers(self._core, reference)

    async def create(
        self,
        /,
        *,
        resend: bool = False,
        validate: bool = True,
        idempotency_key: str | None = None,
        **fields: Unpack[NewCustomerFields],
    ) -> Response[Customer]:
        """Create a draft customer. It is never created twice.

        If the answer is lost, the customer is searched by its `reference`: one that was made since, with every
        field as it was sent, is the one. Without a reference, or with one that no query can hold (`: ; , | *`),
        a lost answer leaves the outcome unknown.

        Args:
            resend: send it again after it was settled as not applied.
            validate: check lengths, choices and forms before sending; False leaves it to the service.
            fields: by their Python names, all optional; nested objects as dicts. The currency cannot be changed
                later. `billing_setting` and `tracked_item_display`, which no customer shows, are taken too, each as
                an object by the API's names, or as a list of one, as the API page has it.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            ValidationError: a field that cannot be sent, with its limit; or `status`, which is Draft.
            NotAppliedError: the answer was lost, and searches found no such customer.
            OutcomeUnknownError: the answer was lost, and no search can tell: there is no usable reference, or
                several customers match.
            FieldsNotTakenError: it was created, and the answer shows another value than was sent.

        API page: https://developer.staxbill.com/reference/customers-1
        """
        return await create_customer(
            self._core, fields, validate=validate, resend=resend, idempotency_key=idempotency_key
        )

    async def hold(self, customer_id: int | Customer, *, idempotency_key: str | None = None) -> Response[Customer]:
        """Put an active customer on hold; its subscriptions are suspended.

        A hold whose answer was lost is settled, and sent again if it was not applied.

        Args:
            customer_id: an id (1 to 2**63 - 1), or a customer read before.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            ConflictError: the customer's status does not allow it.
            NotFoundError: there is no such customer.
            NotAppliedError: it was lost in every attempt.
            OutcomeUnknownError: it was sent, and reading has not settled it.

        API page: https://developer.staxbill.com/reference/hold-customer
        """
        return await self._core.write(HOLD, customer_id, idempotency_key=idempotency_key)

    async def release_hold(
        self,
        customer_id: int | Customer,
        service_start_option: ServiceStartOption | str,
        show_zero_dollar_charges: bool | None = None,
        temporarily_disable_auto_post: bool | None = None,
        *,
        resend: bool = False,
        idempotency_key: str | None = None,
    ) -> Response[Customer]:
        """Take a customer off hold. This may invoice and charge.

        Args:
            customer_id: an id, or a customer read before.
            service_start_option: what is charged for the periods that were missed.
            show_zero_dollar_charges: include zero dollar charges on invoices.
            temporarily_disable_auto_post: leave the invoice unposted.
            resend: send it again after it was settled as not applied.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        API page: https://developer.staxbill.com/reference/un-hold-customer
        """
        return await self._core.write(
            RELEASE_HOLD,
            customer_id,
            resend=resend,
            service_start_option=service_start_option,
            show_zero_dollar_charges=show_zero_dollar_charges,
            temporarily_disable_auto_post=temporarily_disable_auto_post,
            idempotency_key=idempotency_key,
        )

    async def preview_release_hold(
        self,
        customer_id: int,
        service_start_option: ServiceStartOption | str,
        show_zero_dollar_charges: bool | None = None,
        temporarily_disable_auto_post: bool | None = None,
    ) -> Response[Activation]:
        """Show what taking a customer off hold would invoice. Changes nothing.

        Args:
            customer_id: 1 to 2**63 - 1.
            service_start_option: what would be charged for the periods that were missed.
            show_zero_dollar_charges: include zero dollar charges.
            temporarily_disable_auto_post: as for `release_hold`.

        Raises:
            ConflictError: the customer is not on hold.
            PreviewChangedStateError: the answer shows a customer that is not on hold: the service may have acted.

        API page: https://developer.staxbill.com/reference/un-hold-customer
        """
        return await self._core.read(
            PREVIEW_RELEASE_HOLD,
            customer_id,
            service_start_option=service_start_option,
            show_zero_dollar_charges=show_zero_dollar_charges,
            temporarily_disable_auto_post=temporarily_disable_auto_post,
        )

    async def cancel(
        self,
        customer_id: int | Customer,
        cancellation_option: CancellationOption | str,
        *,
        resend: bool = False,
        idempotency_key: str | None = None,
    ) -> Response[Customer]:
        """Cancel a customer and its subscriptions. This may refund.

        Args:
            customer_id: an id, or a customer read before.
            cancellation_option: "None", "Unearned" or "Full": what is credited of charges not yet earned.
            resend: send it again after it was settled as not applied.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        API page: https://developer.staxbill.com/reference/delete-customer
        """
        return await self._core.write(
            CANCEL, customer_id, resend=resend, cancellation_option=cancellation_option, idempotency_key=idempotency_key
        )

    async def uncancel(
        self, customer_id: int | Customer, *, resend: bool = False, idempotency_key: str | None = None
    ) -> Response[Customer]:
        """Undo the cancellation of a customer.

        Args:
            customer_id: an id, or a customer read before.
            resend: send it again after it was settled as not applied.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            ConflictError: the customer is not cancelled.

        API page: https://developer.staxbill.com/reference/uncancel-customer
        """
        return await self._core.write(UNCANCEL, customer_id, resend=resend, idempotency_key=idempotency_key)

    async def activate(
        self,
        customer_id: int | Customer,
        activate_all_subscriptions: bool,
        activate_all_draft_purchases: bool,
        temporarily_disable_auto_post: bool,
        show_zero_dollar_charges: bool | None = None,
        side_effects: bool = False,
        *,
        resend: bool = False,
        idempotency_key: str | None = None,
    ) -> Response[Activation]:
        """Activate a draft customer. This may invoice and charge.

        Args:
            customer_id: an id, or a customer read before.
            activate_all_subscriptions: activate draft subscriptions too.
            activate_all_draft_purchases: activate draft purchases too.
            temporarily_disable_auto_post: leave the invoice unposted.
            show_zero_dollar_charges: include zero dollar charges on invoices.
            side_effects: include the invoice in the answer (in `Activation.extra`).
            resend: send it again after it was settled as not applied.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            ConflictError: the customer is no draft.

        API page: https://developer.staxbill.com/reference/activate-customer
        """
        return await self._core.write(
            ACTIVATE,
            customer_id,
            resend=resend,
            activate_all_subscriptions=activate_all_subscriptions,
            activate_all_draft_purchases=activate_all_draft_purchases,
            temporarily_disable_auto_post=temporarily_disable_auto_post,
            show_zero_dollar_charges=show_zero_dollar_charges,
            side_effects=side_effects,
            idempotency_key=idempotency_key,
        )

    async def preview_activation(
        self,
        customer_id: int,
        activate_all_subscriptions: bool | None = None,
        activate_all_draft_purchases: bool | None = None,
        temporarily_disable_auto_post: bool | None = None,
        show_zero_dollar_charges: bool | None = None,
        side_effects: bool = False,
    ) -> Response[Activation]:
        """Show what activating a customer would invoice. Changes nothing.

        Args:
            customer_id: 1 to 2**63 - 1.
            activate_all_subscriptions: as for `activate`.
            activate_all_draft_purchases: as for `activate`.
            temporarily_disable_auto_post: as for `activate`.
            show_zero_dollar_charges: include zero dollar charges.
            side_effects: ask for the invoice object too.

        Raises:
            PreviewChangedStateError: the answer shows a customer that is no draft: the service may have acted.

        API page: https://developer.staxbill.com/reference/activate-customer
        """
        return await self._core.read(
            PREVIEW_ACTIVATION,
            customer_id,
            activate_all_subscriptions=activate_all_subscriptions,
            activate_all_draft_purchases=activate_all_draft_purchases,
            temporarily_disable_auto_post=temporarily_disable_auto_post,
            show_zero_dollar_charges=show_zero_dollar_charges,
            side_effects=side_effects,
        )

    async def activate_items(
        self,
        customer_id: int | Customer,
        subscription_ids: Iterable[int] | None = None,
        purchase_ids: Iterable[int] | None = None,
        invoice_collect_options: Mapping[str, Any] | None = None,
        temporarily_disable_auto_post: bool | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Response[Customer]:
        """Activate chosen draft subscriptions and purchases of an active customer. This may invoice and charge.

        If neither ids of subscriptions nor of purchases are given, the service activates all of them. The customer
        does not show what became of its items, so a lost answer leaves the outcome unknown.

        Args:
            customer_id: an id, or a customer read before.
            subscription_ids: the draft subscriptions to activate, 1 to 2**63 - 1 each, at least one.
            purchase_ids: the draft purchases to activate, 1 to 2**63 - 1 each, at least one.
            invoice_collect_options: how the invoice is collected, by the API's names, such as
                `{"paymentMethod": "UseExistingPaymentMethod", "paymentMethodId": 149447}`.
            temporarily_disable_auto_post: leave the invoice unposted.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            ConflictError: the customer is not active.
            OutcomeUnknownError: it was sent, and no usable answer came.

        API page: https://developer.staxbill.com/reference/activate-customers-specific-subscriptions-and-purchases
        """
        return await self._core.write(
            ACTIVATE_ITEMS,
            customer_id,
            subscription_ids=subscription_ids,
            purchase_ids=purchase_ids,
            invoice_collect_options=invoice_collect_options,
            temporarily_disable_auto_post=temporarily_disable_auto_post,
            idempotency_key=idempotency_key,
        )

    async def preview_activate_items(
        self,
        customer_id: int,
        subscription_ids: Iterable[int] | None = None,
        purchase_ids: Iterable[int] | None = None,
        invoice_collect_options: Mapping[str, Any] | None = None,
        temporarily_disable_auto_post: bool | None = None,
    ) -> Response[Activation]:
        """Show what activating chosen draft subscriptions and purchases would invoice. Changes nothing.

        Args:
            customer_id: 1 to 2**63 - 1.
            subscription_ids: as for `activate_items`.
            purchase_ids: as for `activate_items`.
            invoice_collect_options: as for `activate_items`.
            temporarily_disable_auto_post: as for `activate_items`.

        Raises:
            ConflictError: the customer is not active.
            PreviewChangedStateError: the answer shows a customer that is not active: the service may have acted.

        API page: https://developer.staxbill.com/reference/activate-customers-specific-subscriptions-and-purchases
        """
        return await self._core.read(
            PREVIEW_ACTIVATE_ITEMS,
            customer_id,
            subscription_ids=subscription_ids,
            purchase_ids=purchase_ids,
            invoice_collect_options=invoice_collect_options,
            temporarily_disable_auto_post=temporarily_disable_auto_post,
        )

    async def update(
        self,
        customer_id: int | Customer | UpdatePlan,
        /,
        *,
        validate: bool = True,
        allow_status_change: bool = False,
        allow_erase: Collection[str] = (),
        check: Check = "fresh",
        idempotency_key: str | None = None,
        **changes: Unpack[UpdateFields],
    ) -> Response[Customer]:
        """Change fields of a customer; everything else goes back as it came.

        Reads the customer, lays the changes over its wire form, and sends the PUT. An update that changes nothing
        sends no PUT.

        Args:
            customer_id: an id, or a customer read before; what was set on it counts as changes too, and if it is the
                last that came and not older than `UpdatePolicy(max_read_age=)` it is not read again. Or a plan from
                `plan_update`, which is carried out with its own changes and options.
            validate: check lengths, choices and forms before sending; False leaves it to the service.
            allow_status_change: let `status` through, which has verbs of its own.
            allow_erase: names of fields, such as "customer_reference.reference2", that may be erased.
            check: "strict" reads once more and compares right before the PUT (three requests in place of two).
            changes: fields by their Python names. None erases. Nested objects are merged:
                `customer_reference={"reference1": "x"}` leaves reference2 alone; sales tracking codes are
                replaced as a list.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            ValidationError: a field that cannot be sent, with its limit.
            WouldEraseError: the PUT would erase a field that was not named.
            ConcurrentModificationError: somebody else changed a field that is named, since a plan was made, say.
            FieldsNotTakenError: the PUT was applied, and the answer shows another value than was sent.

        API page: https://developer.staxbill.com/reference/customers-2
        """
        if isinstance(customer_id, UpdatePlan):
            if changes or allow_status_change or allow_erase:
                raise ValidationError("a plan has its changes and options: plan anew to have others", field="changes")
            planned = make_planned(self._core, customer_id, check=check)
            return await carry_out(self._core, planned, idempotency_key=idempotency_key)
        update = make_update(
            self._core,
            UPDATE,
            customer_id,
            changes,
            validate=validate,
            allow_status_change=allow_status_change,
            allow_erase=allow_erase,
            check=check,
        )
        return await carry_out(self._core, update, idempotency_key=idempotency_key)

    async def plan_update(
        self,
        customer_id: int | Customer,
        /,
        *,
        validate: bool = True,
        allow_status_change: bool = False,
        allow_erase: Collection[str] = (),
        **changes: Unpack[UpdateFields],
    ) -> Response[UpdatePlan]:
        """Show what `update` would change. Sends no PUT.

        `print(plan)` shows the difference as text; `plan.changes` has it as data; `update(plan)` carries it out, if it
        still holds. The options are those of `update`,
        and it raises what `update` would raise.
        """
        return await plan_update(
            self._core,
            customer_id,
            changes,
            validate=validate,
            allow_erase=allow_erase,
            allow_status_change=allow_status_change,
        )

    def edit(
        self,
        customer_id: int,
        *,
        validate: bool = True,
        allow_status_change: bool = False,
        allow_erase: Collection[str] = (),
        check: Check = "fresh",
    ) -> Edit:
        """Change a customer in a block: `async with client.customers.edit(id) as draft: draft.company_name = "x"`.

        The customer is read at the start of the block, and updated at its end with what was assigned. Afterwards
        `draft.result` is the customer. The options are those of `update`.
        """
        options = {
            "validate": validate,
            "allow_status_change": allow_status_change,
            "allow_erase": allow_erase,
            "check": check,
        }
        return Edit(self._core, UPDATE, customer_id, options)

    async def replace(
        self,
        customer: Customer,
        *,
        allow_erase: Collection[str] = (),
        allow_status_change: bool = False,
        validate: bool = True,
        idempotency_key: str | None = None,
    ) -> Response[Customer]:
        """Send a whole customer, as the API has it: what it leaves out, the service erases.

        A customer that came from the service goes back as it came, with what was set on it. It is read again first
        if it is not the last that came or is older than `UpdatePolicy(max_read_age=)`, and any change by somebody
        else then is a conflict. A customer that was built by hand is compared with the present one first.

        Args:
            customer: with its id.
            allow_erase: names of fields that may be erased without having been set to None.
            allow_status_change: let another `status` through, which has verbs of its own.
            validate: check lengths, choices and forms before sending.
            idempotency_key: names the call: a second call with it has no second effect; 1 to 255 characters.

        Raises:
            WouldEraseError: a field that holds something would be erased, and was not named.
            ConcurrentModificationError: somebody else changed the customer since it was read.

        API page: https://developer.staxbill.com/reference/customers-2
        """
        update = make_replacement(
            self._core,
            customer,
            allow_erase=allow_erase,
            allow_status_change=allow_status_change,
            validate=validate,
        )
        return await carry_out(self._core, update, idempotency_key=idempotency_key)


class Customers:
    """The verbs of `client.customers`; see `CustomersWithResponse` for what they share."""

    def __init__(self, with_response: CustomersWithResponse) -> None:
        self.with_response = with_response

    get = value_of(CustomersWithResponse.get)
    overview = value_of(CustomersWithResponse.overview)
    find = value_of(CustomersWithResponse.find)
    create = value_of(CustomersWithResponse.create)
    hold = value_of(CustomersWithResponse.hold)
    release_hold = value_of(CustomersWithResponse.release_hold)
    preview_release_hold = value_of(CustomersWithResponse.preview_release_hold)
    cancel = value_of(CustomersWithResponse.cancel)
    uncancel = value_of(CustomersWithResponse.uncancel)
    activate = value_of(CustomersWithResponse.activate)
    preview_activation = value_of(CustomersWithResponse.preview_activation)
    activate_items = value_of(CustomersWithResponse.activate_items)
    preview_activate_items = value_of(CustomersWithResponse.preview_activate_items)
    update = value_of(CustomersWithResponse.update)
    plan_update = value_of(CustomersWithResponse.plan_update)
    replace = value_of(CustomersWithResponse.replace)

    def edit(
        self,
        customer_id: int,
        *,
        validate: bool = True,
        allow_status_change: bool = False,
        allow_erase: Collection[str] = (),
        check: Check = "fresh",
    ) -> Edit:
        """Change a customer in a block; see `CustomersWithResponse.edit`."""
        return self.with_response.edit(
            customer_id,
            validate=validate,
            allow_status_change=allow_status_change,
            allow_erase=allow_erase,
            check=check,
        )

    def list(
        self,
        query: Query = None,
        *,
        page_size: int = 1000,
        sort: str = "id",
        limit: int | None = None,
        prefetch: bool = True,
    ) -> CustomerList:
        """List customers, an async iterable of them; see `CustomersWithResponse.list`."""
        return self.with_response.list(query, page_size=page_size, sort=sort, limit=limit, prefetch=prefetch)
