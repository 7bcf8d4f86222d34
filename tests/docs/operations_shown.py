"""What the README shows of the operations table: the states of a customer, and a row for each call."""

from __future__ import annotations

from fusebill_async.models import Status
from fusebill_async.operations import OPERATIONS, Safety, names_of

BY_THE_SERVICE: tuple[tuple[Status, Status], ...] = (
    (Status.ACTIVE, Status.SUSPENDED),
    (Status.SUSPENDED, Status.ACTIVE),
)
"""The changes of status that the service makes itself, with the standing of the account."""

_AFTER_A_LOST_ANSWER = {
    Safety.READ: "sent again",
    Safety.REPEATABLE: "settled by reading; if it did not happen, sent again",
    Safety.MONEY: "settled by reading; sent again only with `resend=True`",
    Safety.REPLACE: "settled by reading; if it did not happen, merged anew and sent again",
    Safety.CREATE: "settled by a search for its `reference`; sent again only with `resend=True`",
}


def states_diagram() -> str:
    """The states of a customer, and the operations that lead from one to the next, as a Mermaid diagram."""
    lines = ["stateDiagram-v2"]
    for operation in OPERATIONS:
        if operation.leads_to is None:
            continue
        sources = operation.allowed_from
        starts = ["[*]"] if sources is None else [str(status) for status in Status if status in sources]
        lines += [f"    {start} --> {operation.leads_to}: {operation.name}" for start in starts]
    lines += [f"    {start} --> {end}: by the service" for start, end in BY_THE_SERVICE]
    return "\n".join(lines)


def operations_table() -> str:
    """The operations as a Markdown table, one row each."""
    rows = [
        "| call | what it does | works from | leads to | when its answer is lost |",
        "| --- | --- | --- | --- | --- |",
    ]
    for operation in OPERATIONS:
        works_from = "" if operation.allowed_from is None else names_of(operation.allowed_from)
        if operation.allowed_from is None and any(one.name == "customer_id" for one in operation.parameters):
            works_from = "any"
        lost = _AFTER_A_LOST_ANSWER[operation.safety]
        if operation.writes and operation.goal is None:
            lost = "unknown: no read can tell"
        rows.append(
            f"| [`{operation.title}`]({operation.page}) | {operation.summary} | {works_from} "
            f"| {operation.leads_to or ''} | {lost} |"
        )
    return "\n".join(rows)
