"""What a job asks before it writes, erases, or sends again what moves money."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fusebill_async.cli.bulk_plan import Planned
from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import NotDone
from fusebill_async.cli.input import ask, person
from fusebill_async.cli.options import Common
from fusebill_async.cli.terminal import messages
from fusebill_async.cli.usage import UsageError
from fusebill_async.operations import BY_TITLE
from fusebill_async.outcome import Outcome


def declined(planned: Planned, common: Common, *, stdin_is_taken: bool) -> NotDone | None:
    """Show what a job is to do, and ask before anything is written; None is a yes.

    Raises:
        UsageError: nobody sits at a terminal.
    """
    plan = planned.plan
    if not plan.to_do:
        return None
    return _asked(
        f"{plan.operation} for {plan.to_do:,} customers?",
        "the command asks before it writes, and nobody sits at a terminal: add --yes",
        f"{plan.operation}: you did not say yes",
        common,
        stdin_is_taken=stdin_is_taken,
        before=lambda: planned.print_on(messages()),
    )


def not_again(title: str, count: int, common: Common) -> NotDone | None:
    """Ask before what moves money is sent again; None is a yes.

    Raises:
        UsageError: nobody sits at a terminal.
    """
    if not BY_TITLE[title].moves_money or not count:
        return None
    return _asked(
        f"{title} moves money. Send it again for {count:,} customers?",
        f"{title} moves money: add --yes to send again what was not applied",
        f"{title}: you did not say yes",
        common,
    )


def not_erased(journal: Path, common: Common) -> NotDone | None:
    """Ask before a journal is wiped; None is a yes.

    Raises:
        UsageError: nobody sits at a terminal.
    """
    return _asked(
        f"Erase what {journal} holds of persons?",
        "bulk wipe asks before it erases, and nobody sits at a terminal: add --yes",
        "you did not say yes",
        common,
    )


def _asked(
    question: str,
    needs_yes: str,
    no: str,
    common: Common,
    *,
    stdin_is_taken: bool = False,
    before: Callable[[], None] = lambda: None,
) -> NotDone | None:
    terminal = person(stdin_is_taken=stdin_is_taken)
    if terminal is None or common.json:
        raise UsageError(needs_yes)
    before()
    if ask(f"{question} [y/N] ", terminal) in {"y", "yes"}:
        return None
    return NotDone(Outcome.NOT_SENT, "Declined", no, code=ExitCode.NOT_DONE)
