"""What a job is given, as it stands in the journal, and the write that an item becomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import attrs

from fusebill_async.converting import (
    NO_OBJECT,
    WireObject,
    decode_customer,
    decode_json,
    encode,
    read_object,
    wire_fields,
)
from fusebill_async.errors import ValidationError, shown
from fusebill_async.models import Customer
from fusebill_async.operations import REPLACE, UPDATE, Operation
from fusebill_async.resources.core import ClientCore
from fusebill_async.resources.updates import Check, compare, make_replacement, make_update, write_of
from fusebill_async.settling.evidence import keys_of
from fusebill_async.settling.response import Response
from fusebill_async.settling.seen import Reading
from fusebill_async.settling.write import Write
from fusebill_async.updating.changes import laid_over
from fusebill_async.updating.merging import expected, written
from fusebill_async.updating.pending import PendingUpdate
from fusebill_async.wire.checks import is_array, is_object
from fusebill_async.wire.request import build_request, check_id, named_in_body


@attrs.frozen(kw_only=True)
class Row:
    """One item of the input, checked.

    Attributes:
        customer_id: whom it acts on.
        asked: what it asks for besides what the whole job asks for, as JSON; None for nothing.
        known: what was known of the customer, as JSON; None if only the id was given.
        aside: why it is set aside, in words; "" if it is to be carried out.
    """

    customer_id: int
    asked: bytes | None = None
    known: bytes | None = None
    aside: str = ""


@attrs.frozen
class BadRow:
    """What stands in the input for a row that cannot be read.

    Attributes:
        reason: what is wrong with it, in words.
    """

    reason: str


@attrs.frozen(kw_only=True)
class Item:
    """One item of a job that is to be carried out.

    Attributes:
        number: its place in the input, from 1.
        customer_id, asked, known: see `Row`.
        attempts: requests that were sent for it in earlier runs.
        intent_id: the name of the write that an earlier run left open, None if it left none.
        handed_out: what was left open was handed to a worker, and its idempotency key tells what became of it.
        aside: why nothing is sent for it, in words; "" if it is to be carried out.
    """

    number: int
    customer_id: int
    asked: bytes | None = None
    known: bytes | None = None
    attempts: int = 0
    intent_id: str | None = None
    handed_out: bool = False
    aside: str = ""


class Kind(Protocol):
    """What a job does, with the options that hold for all of its items."""

    @property
    def operation(self) -> Operation:
        """The row of the table."""
        ...

    @property
    def requests(self) -> int:
        """How many requests an item takes, if nothing goes wrong."""
        ...

    @property
    def takes_snapshot(self) -> bool:
        """Whether customers are read ahead of their items, if nothing else is said."""
        ...

    def options(self) -> dict[str, Any]:
        """The options, as JSON has them."""
        ...

    def read(self, core: ClientCore, given: Any) -> Row:
        """Check one item of the input.

        Raises:
            ValidationError: it cannot be carried out.
        """
        ...

    async def objection(self, core: ClientCore, item: Item) -> str:
        """Look at the customer right before its write: why the item must be set aside, in words; "" for nothing.

        Raises:
            FusebillError: the customer could not be read.
        """
        ...

    def write(self, core: ClientCore, item: Item) -> Write:
        """The write of an item, not begun yet."""
        ...

    def check_answer(self, write: Write, response: Response[Any]) -> None:
        """Compare the answer with what was asked for.

        Raises:
            FieldsNotTakenError: it was applied, but not as it was sent.
        """
        ...

    def sent(self, item: Item, present: WireObject) -> Mapping[str, Any]:
        """What the goal of the operation is compared with: keys and values that the item sends.

        Args:
            item: of the job.
            present: the customer as it stands.
        """
        ...


@attrs.define
class VerbJob:
    """An operation that acts on a customer by a request of its own, such as `hold`.

    Attributes:
        operation: the row of the table.
        arguments: its parameters, for every item that does not give its own.
    """

    operation: Operation
    arguments: Mapping[str, Any]
    _is_checked: bool = attrs.field(default=False, init=False)

    @property
    def requests(self) -> int:
        """One: the write."""
        return 1

    @property
    def takes_snapshot(self) -> bool:
        """Yes: its write shows nothing of what was there before."""
        return True

    def options(self) -> dict[str, Any]:
        """The arguments."""
        return {"arguments": self.arguments}

    def read(self, core: ClientCore, given: Any) -> Row:  # noqa: ARG002 (the protocol's)
        """Check an id, a customer, or a pair of one and options."""
        if type(given) is int:
            self._check_common()
            return Row(customer_id=check_id(given))
        customer, own = _pair(given)
        customer_id = customer.id if isinstance(customer, Customer) else customer
        arguments = {**self.arguments, **_named(self.operation, own)}
        build_request(self.operation, customer_id, **arguments)
        known = _known(customer, self.operation, arguments) if isinstance(customer, Customer) else None
        return Row(customer_id=customer_id, asked=encode(own) if own else None, known=known)

    def _check_common(self) -> None:
        """See, once, that items that give nothing of their own can be carried out."""
        if not self._is_checked:
            build_request(self.operation, 1, **self.arguments)
            self._is_checked = True

    def arguments_of(self, item: Item) -> dict[str, Any]:
        """The arguments of an item: those of the job, and its own before them."""
        return {**self.arguments, **_own(item)}

    async def objection(self, core: ClientCore, item: Item) -> str:  # noqa: ARG002 (the protocol's)
        """None, and nothing is read for it."""
        return ""

    def write(self, core: ClientCore, item: Item) -> Write:
        """The write of an item."""
        write = core.write_of(self.operation, item.customer_id, self.arguments_of(item))
        if item.known is not None:
            write.knows(Reading.of(decode_customer(item.known)), recent=True)
        return write

    def check_answer(self, write: Write, response: Response[Any]) -> None:
        """Nothing to compare: the driver looks at the goal."""

    def sent(self, item: Item, present: WireObject) -> Mapping[str, Any]:  # noqa: ARG002 (the protocol's)
        """The parameters in the body."""
        return named_in_body(self.operation, self.arguments_of(item))


@attrs.frozen(kw_only=True)
class UpdateJob:
    """An update, or a replacement of whole customers.

    Attributes:
        operation: `UPDATE` or `REPLACE`.
        changes: by Python names, for every item; an item's own go before them.
        validate, allow_erase, allow_status_change, check: as for `customers.update`.
    """

    operation: Operation = UPDATE
    changes: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    validate: bool = True
    allow_erase: Collection[str] = ()
    allow_status_change: bool = False
    check: Check = "fresh"

    @property
    def requests(self) -> int:
        """The PUT, and the read or reads that it rests on."""
        return 3 if self.check == "strict" else 2

    @property
    def takes_snapshot(self) -> bool:
        """No: what its own read shows is kept."""
        return False

    def options(self) -> dict[str, Any]:
        """The options, without the changes: those are kept with each item."""
        return {
            "validate": self.validate,
            "allow_erase": sorted(self.allow_erase),
            "allow_status_change": self.allow_status_change,
            "check": self.check,
        }

    def read(self, core: ClientCore, given: Any) -> Row:
        """Check an id, a customer, or a pair of one and changes."""
        customer, own = _pair(given)
        update = self._pending(core, customer, own)
        if not update.changes.texts and not update.whole:
            raise ValidationError("nothing to change: give (id, changes)", field="changes")
        base = None if update.base is None else update.base.decode()
        return Row(
            customer_id=update.customer_id,
            asked=encode({"changes": dict(update.changes.texts), "base": base}),
        )

    def _pending(self, core: ClientCore, customer: Any, own: Mapping[str, Any]) -> PendingUpdate:
        if self.operation is REPLACE:
            if own or self.changes:
                raise ValidationError("replace takes whole customers, and no changes", field="changes")
            return make_replacement(
                core,
                customer,
                allow_erase=self.allow_erase,
                allow_status_change=self.allow_status_change,
                validate=self.validate,
            )
        return make_update(
            core,
            UPDATE,
            customer,
            {**self.changes, **own},
            validate=self.validate,
            allow_erase=self.allow_erase,
            allow_status_change=self.allow_status_change,
            check=self.check,
        )

    async def objection(self, core: ClientCore, item: Item) -> str:  # noqa: ARG002 (the protocol's)
        """None, and nothing is read for it."""
        return ""

    def write(self, core: ClientCore, item: Item) -> Write:
        """The write of an item."""
        asked = wire_fields(item.asked or b"{}")
        base: str | None = decode_json(asked["base"])
        update = PendingUpdate(
            operation=self.operation,
            customer_id=item.customer_id,
            changes=read_object(asked["changes"]),
            base=None if base is None else base.encode(),
            whole=self.operation is REPLACE,
            from_scratch=self.operation is REPLACE and base is None,
            always_read=True,
            strict=self.check == "strict",
            allow_status_change=self.allow_status_change,
            allow_erase=frozenset(self.allow_erase),
            rounds=core.setup.updates.rounds,
        )
        return write_of(core, update)

    def check_answer(self, write: Write, response: Response[Any]) -> None:
        """Raise `FieldsNotTakenError` if the answer shows other values than were sent."""
        assert write.update is not None
        compare(write.call, write.update, response)

    def sent(self, item: Item, present: WireObject) -> Mapping[str, Any]:
        """The changes; of a replacement, all that it writes."""
        asked = read_object(item.asked or b"{}")
        shows = expected(present, asked.inner.get("changes", NO_OBJECT))
        base = asked.values.get("base")
        if self.operation is REPLACE and base is not None:
            shows = laid_over(written(read_object(base.encode())), shows)
        return shows


def verb_job(operation: Operation, arguments: Mapping[str, Any]) -> VerbJob:
    """A job of an operation with these arguments.

    Raises:
        ValidationError: an argument that the operation does not have, or that cannot be sent.
    """
    given = _named(operation, arguments)
    # What rows may give is not missed before they are read.
    for parameter in operation.parameters:
        if parameter.name in given:
            optional = attrs.evolve(operation, parameters=(operation.parameters[0], parameter))
            build_request(optional, 1, **{parameter.name: given[parameter.name]})
    return VerbJob(operation, decode_json(encode(given)))


def _own(item: Item) -> dict[str, Any]:
    """The parameters that an item gives itself."""
    own: dict[str, Any] = {} if item.asked is None else decode_json(item.asked)
    return own


def _named(operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    names = [parameter.name for parameter in operation.parameters if parameter.name != "customer_id"]
    for name in arguments:
        if name not in names:
            has = f"takes {', '.join(names)}" if names else "takes no options"
            raise ValidationError(f"{shown(name)} is no option: {operation.title} {has}", field=str(name))
    return dict(arguments)


def _pair(given: Any) -> tuple[Any, Mapping[str, Any]]:
    """The customer of an item, and what is asked for it besides."""
    customer, own = given, dict[str, Any]()
    if is_array(given):
        if len(given) != 2 or not is_object(given[1]):
            raise ValidationError(
                f"an item is an id, a Customer, or a pair of one and a dict, not {shown(given)}", field="items"
            )
        customer, own = given[0], dict(given[1])
    if not isinstance(customer, Customer):
        check_id(customer)
    return customer, own


def _known(customer: Customer, operation: Operation, arguments: Mapping[str, Any]) -> bytes | None:
    """What is worth keeping of a customer that was handed in: what a lost answer is attributed by."""
    if customer.wire is None:
        return None
    fields = wire_fields(customer.wire)
    keys = {"id", "status", "modifiedTimestamp", *keys_of(operation.goal, named_in_body(operation, arguments))}
    return encode({key: text for key, text in fields.items() if key in keys})
