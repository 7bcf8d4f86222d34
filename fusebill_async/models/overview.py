"""The short form of a customer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from fusebill_async.models.enums import Status, Title
from fusebill_async.models.unset import UNSET
from fusebill_async.models.view import WireView


@attrs.define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class Overview(WireView):
    """A customer's overview, https://developer.staxbill.com/reference/read-customer-overview-1.

    Attributes:
        title, first_name, middle_name, last_name, suffix: of the person.
        primary_email, primary_phone: where the person is reached.
        company_name: of the customer.
        reference: a free field, often the id in another system.
        created_timestamp: in UTC.
        status: of the service.
        extra: every other key, the balances among them.
    """

    title: Title | str | None = UNSET
    first_name: str | None = UNSET
    middle_name: str | None = UNSET
    last_name: str | None = UNSET
    suffix: str | None = UNSET
    primary_email: str | None = UNSET
    primary_phone: str | None = UNSET
    company_name: str | None = UNSET
    reference: str | None = UNSET
    created_timestamp: datetime | None = UNSET
    status: Status | str | None = UNSET
    extra: Mapping[str, Any] = UNSET
