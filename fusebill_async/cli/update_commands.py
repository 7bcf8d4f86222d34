"""`update`, `create` and `replace`: the commands that take fields."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter as Option

from fusebill_async.cli.acting import act
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.fields import read_fields
from fusebill_async.cli.ids import CustomerId
from fusebill_async.cli.input import read_input
from fusebill_async.cli.options import WRITING, Resend, Writing
from fusebill_async.cli.performing import perform
from fusebill_async.cli.results import Result, Write
from fusebill_async.cli.wire_text import wire_of
from fusebill_async.client import FusebillClient, Verbs
from fusebill_async.converting import BYTE_ORDER_MARK, UnreadableAnswer, decode_customer, read_object, wire_fields
from fusebill_async.errors import ValidationError
from fusebill_async.models import Customer, wire_keys
from fusebill_async.models.view import WireView
from fusebill_async.operations import CREATE, REPLACE, UPDATE
from fusebill_async.updating.changes import wire_changes
from fusebill_async.updating.merging import frozen, plan
from fusebill_async.updating.rules import READ_ONLY
from fusebill_async.wire.checks import is_array

Field = Annotated[
    str,
    Option(
        show_default=False,
        help="Such as company_name='Grok Ltd' or customer_reference.reference1=A-1; nothing after = is an empty text.",
    ),
]
Nulls = Annotated[
    tuple[str, ...],
    Option(name="--null", negative="", show_default=False, help="Erase this field. Repeat it for more."),
]
AllowErase = Annotated[
    tuple[str, ...],
    Option(
        name="--allow-erase", negative="", show_default=False,
        help="This field may be erased though it was not named. Repeat it for more.",
    ),
]  # fmt: skip


async def update(
    id: CustomerId,  # noqa: A002 (it is shown as ID)
    /,
    *fields: Field,
    null: Nulls = (),
    allow_erase: AllowErase = (),
    allow_status_change: Annotated[
        bool, Option(negative="", show_default=False, help="Let status through, which has commands of its own.")
    ] = False,
    common: Writing = WRITING,
) -> ExitCode:
    """Change fields of a customer; everything else goes back as it came."""

    async def work(client: FusebillClient) -> Result:
        changes = read_fields(fields, null)
        if not changes:
            raise ValidationError("no field is named: update ID FIELD=VALUE ...", field="fields")
        options: dict[str, Any] = {"allow_erase": allow_erase, "allow_status_change": allow_status_change}

        async def send(verbs: Verbs) -> Result:
            # The update rests on this read, so the difference shown is the one that is sent.
            before = await verbs.customers.get(id)
            response = await verbs.with_response.customers.update(
                before, idempotency_key=common.idempotency_key, **options, **changes
            )
            return Write(UPDATE, response, plan(id, read_object(wire_of(before)), frozen(wire_changes(changes))))

        return await act(client, common, send)

    return await perform(UPDATE, work, common)


async def create(*fields: Field, resend: Resend = False, common: Writing = WRITING) -> ExitCode:
    """Create a draft customer.

    Give it a reference of your own: if the answer is lost, the customer is searched by it.
    """

    async def work(client: FusebillClient) -> Result:
        given = read_fields(fields)
        if not given:
            raise ValidationError("no field is named: create FIELD=VALUE ...", field="fields")

        async def send(verbs: Verbs) -> Result:
            create, key = verbs.with_response.customers.create, common.idempotency_key
            return Write(CREATE, await create(resend=resend, idempotency_key=key, **given))

        return await act(client, common, send)

    return await perform(CREATE, work, common)


async def replace(
    file: Annotated[
        str,
        Option(
            allow_leading_hyphen=True,
            help="JSON of the whole customer with its id, as get --json prints it; - is stdin.",
        ),
    ],
    /,
    *,
    allow_erase: AllowErase = (),
    common: Writing = WRITING,
) -> ExitCode:
    """Send a whole customer, as the API has it: what the file leaves out would be erased."""

    async def work(client: FusebillClient) -> Result:
        customer = _by_hand(_read_customer(file))

        async def send(verbs: Verbs) -> Result:
            replace, key = verbs.with_response.customers.replace, common.idempotency_key
            return Write(REPLACE, await replace(customer, allow_erase=allow_erase, idempotency_key=key))

        return await act(client, common, send)

    return await perform(REPLACE, work, common)


def _read_customer(file: str) -> Customer:
    text = read_input(file, "file")
    try:
        return decode_customer(text.removeprefix(BYTE_ORDER_MARK))
    except UnreadableAnswer as error:
        raise ValidationError(f"{file} holds no customer: {error.reason}", field="file") from None


def _by_hand(view: Customer) -> Customer:
    """The same customer as if it were written by hand: it counts as wanted, not as the last state of the service."""
    customer: Customer = _rebuilt(view)
    return customer


def _rebuilt(value: Any) -> Any:
    if is_array(value):
        return tuple(_rebuilt(item) for item in value)
    if not isinstance(value, WireView):
        return value
    came = wire_fields(wire_of(value))
    fields = {
        name: _rebuilt(getattr(value, name))
        for name, key in wire_keys(type(value)).items()
        if key in came and (key == "id" or key not in READ_ONLY)
    }
    model: Any = type(value)
    return model(**fields, extra=dict(value.extra))
