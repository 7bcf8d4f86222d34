"""`bulk`: plan a job, run it, watch and control it, prove it, and read its report."""

from __future__ import annotations

from cyclopts import App, Group

from fusebill_async.cli.bulk_control_commands import add_control_commands
from fusebill_async.cli.bulk_input_commands import add_input_commands
from fusebill_async.cli.bulk_journal_commands import add_journal_commands
from fusebill_async.cli.bulk_proof_commands import add_proof_commands


def bulk_app(*, group: Group, sort_key: int) -> App:
    """The commands of jobs, in their place among the others."""
    app = App(
        name="bulk",
        group=group,
        sort_key=sort_key,
        help="Act on many customers: plan a job, run it, and resume it after anything. Exit codes: 0 all applied, "
        "1 some refused or not applied, 3 some not known, 75 stopped and resumable.",
    )
    add_input_commands(app)
    add_journal_commands(app)
    add_control_commands(app)
    add_proof_commands(app)
    return app
