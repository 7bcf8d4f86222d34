"""Control of a job from outside: pause it, let it go on, stop it, and see how it stands.

What is wanted stands in a row of the journal, at which the job looks every second. So any process on the machine can
control the job, and what was wanted outlives the job's own process.
"""

from __future__ import annotations

import getpass
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import attrs

from fusebill_async.bulk.journal_file import JobOwner, open_to_read, owner_in
from fusebill_async.errors import StoreUnavailableError
from fusebill_async.stores.effects import StoreEffects, machine_name


class Wanted(StrEnum):
    """What is wanted of a job."""

    GO = "go"
    PAUSE = "pause"
    STOP = "stop"


@attrs.frozen(kw_only=True)
class Control:
    """What is wanted of a job, and who said so.

    Attributes:
        wanted: "go", if nobody has said anything else.
        since: when it was said, in epoch seconds; None if nobody has said anything.
        by: where it was said, such as "alice on db-1".
    """

    wanted: Wanted = Wanted.GO
    since: float | None = None
    by: str = ""


@attrs.frozen(kw_only=True)
class Standing:
    """What a job does at this moment.

    Attributes:
        wanted, since, by: see `Control`; `since` is aware, in UTC.
        owner: the process that has the journal open; None if none has.
        held_for: why the job sends nothing now, in words; "" if it does, or if no process runs it.
        held_until: when it goes on by itself (aware, UTC); None if that is not known.
    """

    wanted: Wanted
    since: datetime | None
    by: str
    owner: JobOwner | None
    held_for: str
    held_until: datetime | None

    @property
    def runs(self) -> bool:
        """Whether a process runs the job."""
        return self.owner is not None and not self.owner.is_gone


def pause(journal: str | Path) -> Standing:
    """Have a job send nothing more until `go`. What is under way is seen to its end.

    It holds for later runs, too.

    Args:
        journal: the file of the job.

    Returns:
        How the job stood at that moment.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
        StoreUnavailableError: it cannot be written to.
    """
    return _want(Path(journal), Wanted.PAUSE)


def go(journal: str | Path) -> Standing:
    """Let a job go on that was paused; see `pause`."""
    return _want(Path(journal), Wanted.GO)


def stop(journal: str | Path) -> Standing:
    """Have the run that is under way end, after what is under way; see `pause`. A later run goes on."""
    return _want(Path(journal), Wanted.STOP)


def read_standing(journal: str | Path) -> Standing:
    """What a job does at this moment.

    Raises:
        ConfigurationError: there is no such journal, or it cannot be read.
    """
    with closing(open_to_read(Path(journal))) as connection:
        return standing_in(connection)


def control_in(connection: sqlite3.Connection) -> Control:
    """What is wanted of the job whose journal a connection leads to."""
    row = connection.execute("SELECT wanted, since, by FROM control").fetchone()
    if row is None:
        return Control()
    wanted, since, by = row
    return Control(wanted=Wanted(wanted), since=since, by=by)


def forget_stop(connection: sqlite3.Connection) -> None:
    """A run begins: that an earlier one was to stop does not hold for it."""
    connection.execute("DELETE FROM control WHERE wanted = ?", (Wanted.STOP,))


def _want(journal: Path, wanted: Wanted) -> Standing:
    effects = StoreEffects()
    by = f"{_user()} on {machine_name()}"
    with closing(open_to_read(journal)) as connection:
        before = standing_in(connection)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM control")
            connection.execute("INSERT INTO control VALUES (?, ?, ?)", (wanted, effects.wall(), by))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"the journal {journal} cannot be written to: {error}") from error
    return before


def standing_in(connection: sqlite3.Connection) -> Standing:
    """What the job does whose journal a connection leads to."""
    control = control_in(connection)
    owner = owner_in(connection)
    runs = owner is not None and not owner.is_gone
    held = connection.execute(
        "SELECT kind, until, note FROM events WHERE kind <> 'refused' "
        "AND run = (SELECT max(number) FROM runs) ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    if not runs or (held is not None and held[0] == "went_on"):
        # What a run that has ended was held for is over.
        held = None
    return Standing(
        wanted=control.wanted,
        since=None if control.since is None else datetime.fromtimestamp(control.since, UTC),
        by=control.by,
        owner=owner,
        held_for="" if held is None else held[2],
        held_until=None if held is None or held[1] is None else datetime.fromtimestamp(held[1], UTC),
    )


def _user() -> str:
    """Who runs this process. In a container the user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "somebody"
