"""What the service says when it refuses."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorBody:
    """The body of a refusal.

    Attributes:
        error_id: the service's `ErrorId`; None where there was none.
        http_status_code: the status that the body names; None where it names none.
        errors: (key, value) pairs; the key is "Api Error" for business rules.
        message: the values, joined; or the one message of a body without a list.
    """

    error_id: int | None = None
    http_status_code: int | None = None
    errors: tuple[tuple[str, str], ...] = ()
    message: str = ""
