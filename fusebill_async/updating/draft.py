"""The customer that the block of `edit` works on."""

from __future__ import annotations

from typing import Any

from fusebill_async.errors import ClientStateError
from fusebill_async.models import Customer
from fusebill_async.models.view import revive


class CustomerDraft(Customer):
    """A customer to be changed by assigning its fields; `result` is the customer after the block."""

    __slots__ = ("_result",)

    @property
    def result(self) -> Customer:
        """The customer as the service answered.

        Raises:
            ClientStateError: the block has not ended yet, or it ended with an error.
        """
        try:
            result: Customer = _result_of(self)
        except AttributeError:
            # An AttributeError of a property would end as "no such field" in the model's `__getattr__`.
            raise ClientStateError("the draft has no result: its block has not ended well") from None
        return result

    def finish(self, result: Customer) -> None:
        """Set the result."""
        _set_result(self, result)


# The slot's own ways in and out, past the bookkeeping of named fields.
_result_of: Any = CustomerDraft.__dict__["_result"].__get__
_set_result: Any = CustomerDraft.__dict__["_result"].__set__


def draft_of(customer: Customer) -> CustomerDraft:
    """A draft over what a customer came with."""
    wire, reader, _ = customer.__wire_origin__()
    return revive(CustomerDraft, wire, reader, {}, set())
