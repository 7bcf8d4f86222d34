"""The SQLite file of a store: made for its owner alone, recognised again, and found out when it was taken away."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fusebill_async.errors import ConfigurationError, StoreUnavailableError

logger = logging.getLogger("fusebill_async.store")

_APPLICATION_ID = 0x46757362  # "Fusb"
_SCHEMA_VERSION = 3
_CARRIED_OVER = 2
"""The version whose files get the tables that are new."""
_BUSY = 5.0
"""Seconds that a transaction waits for another process's."""
PARTS = ("", "-wal", "-shm")
"""What stands at the end of the names of the files that SQLite keeps."""


class SQLiteFile:
    """The file, its tables, and which file it is.

    Args:
        path: where it is.
        tables: SQL that makes the tables.
        new_name: gives a name that no other file has.
        since_version_2: SQL that makes the tables which a file of version 2 does not have.

    Attributes:
        restoring: writes what this process knows into a file that does not know it any more, inside a transaction.
    """

    restoring: Callable[[sqlite3.Connection], None]

    def __init__(
        self,
        path: Path,
        tables: tuple[str, ...],
        new_name: Callable[[], str],
        *,
        since_version_2: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self._tables = tables
        self._since_version_2 = since_version_2
        self._new_name = new_name
        self._name: str | None = None
        """The name that stands in the file which holds what this process wrote."""
        self._is_lost = False
        self._identities: tuple[Any, ...] = ()

    # --- opening

    def prepare(self) -> None:
        """Make the file, or check that it is one of ours.

        Raises:
            ConfigurationError: it cannot be used.
            StoreUnavailableError: another process keeps it locked.
        """
        path = self.path
        try:
            make_private(path)
            connection = connect_to(path)
            try:
                self._check(connection)
                self._recognise(connection)
            finally:
                connection.close()
            keep_private(path)
        except sqlite3.Error as error:
            if is_busy(error):
                raise StoreUnavailableError(f"{path} is locked by another program: {error}") from error
            raise ConfigurationError(f"{path} cannot be used as a store: {error}") from error
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be used as a store: {error.strerror}") from error

    def connect(self) -> sqlite3.Connection:
        """Open the file, and make it if it is not there any more."""
        if not self.path.exists():
            self.prepare()
        connection = connect_to(self.path)
        try:
            self._recognise(connection)
        except BaseException:
            connection.close()
            raise
        self._identities = self._look()
        return connection

    def is_there(self) -> bool:
        """Whether others who open the path now get what the latest connection writes to."""
        there = self._look() == self._identities
        self._is_lost = self._is_lost or not there
        return there

    def restore(self, connection: sqlite3.Connection) -> None:
        """Write what was lost with an earlier file."""
        if self._is_lost:
            self.restoring(connection)

    def restored(self) -> None:
        """That is committed."""
        self._is_lost = False

    def read(self, question: str, *values: Any) -> tuple[list[Any], bool]:
        """Ask the file; also whether it holds what this process wrote into it.

        Raises:
            StoreUnavailableError: it cannot be read.
        """
        try:
            if not self.path.exists():
                return [], False
            connection = connect_to(self.path)
            try:
                remembers = _name_of(connection) == self._name and not self._is_lost
                return connection.execute(question, values).fetchall(), remembers
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"the store cannot be read: {error}") from error

    def _recognise(self, connection: sqlite3.Connection) -> None:
        name = _name_of(connection)
        if self._name not in {None, name}:
            logger.warning("%s is not the file that it was: what is open is written into it anew", self.path)
            self._is_lost = True
        self._name = name

    def _look(self) -> tuple[Any, ...]:
        """Which files have the names now. Commits stand in the one with `-wal` until they are moved."""
        return tuple(identity_of(Path(f"{self.path}{part}")) for part in PARTS[:2])

    # --- the tables

    def _check(self, connection: sqlite3.Connection) -> None:
        if not _is_ours(connection, self.path):
            into_wal_mode(connection, self.path)
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have been faster.
            if not _is_ours(connection, self.path):
                made = _version_of(connection)
                for statement in self._since_version_2 if made else self._tables:
                    connection.execute(statement)
                if not made:
                    connection.execute("CREATE TABLE file (name TEXT NOT NULL)")
                    connection.execute("INSERT INTO file VALUES (?)", (self._new_name(),))
                    connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
            connection.execute("COMMIT")
        # A file that cannot be written to is told of now, not at the first write.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def connect_to(path: Path) -> sqlite3.Connection:
    """Open a file that is there."""
    # SQLite would make a file that is not there, and readable for others.
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_BUSY, isolation_level=None)
    try:
        # Without it macOS leaves what was "synced" in the disk's own cache. It changes nothing elsewhere.
        connection.execute("PRAGMA fullfsync=ON")
        # What a write named about a person is overwritten when its intent is closed, not only unlinked.
        connection.execute("PRAGMA secure_delete=ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _name_of(connection: sqlite3.Connection) -> str:
    name: str = connection.execute("SELECT name FROM file").fetchone()[0]
    return name


def identity_of(path: Path) -> tuple[int, int] | None:
    """Which file has a name now; None if none has."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, and see to it that its name is on the disk."""
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path} cannot be used: there is no such directory")
    if path.is_dir():
        raise ConfigurationError(f"{path} cannot be used: it is a directory")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def keep_private(path: Path) -> None:
    """See to it that nobody but its owner may read it. SQLite gives the mode of the file to those that it adds."""
    for part in PARTS:
        with suppress(FileNotFoundError, PermissionError):
            one = Path(f"{path}{part}")
            mode = one.stat().st_mode & 0o777
            if mode & 0o077:
                one.chmod(mode & 0o700)


def _version_of(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file has its tables; not if it is new, or if an earlier version made it."""
    application, version, tables = (
        connection.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if (application, version, tables) == (0, 0, 0):
        return False
    if application != _APPLICATION_ID:
        raise ConfigurationError(f"{path} is another program's database: give the store a file of its own")
    if version == _CARRIED_OVER:
        return False
    if version != _SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} was made by another version of fusebill_async (schema {version}, not {_SCHEMA_VERSION}): "
            "settle what is open in it with that version, then remove it"
        )
    return True


def into_wal_mode(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite does not wait for others here by itself."""
    until = time.monotonic() + _BUSY
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            break
    if mode != "wal":
        raise ConfigurationError(f"{path} cannot be used: no WAL mode there (is it a network drive?)")


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else has the file locked."""
    # The low byte is the error's kind, the others say more of it.
    return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
