"""Puts together what carries out and settles writes, over one ledger."""

from __future__ import annotations

import attrs

from fusebill_async.session.manager import SessionManager
from fusebill_async.settings import FreshConnections, SettlingPolicy, Timeouts, UpdatePolicy
from fusebill_async.settling.driver import WriteDriver
from fusebill_async.settling.locking import WriteLocks
from fusebill_async.settling.open_writes import OpenWrites
from fusebill_async.settling.preparing import PutPreparer
from fusebill_async.settling.protocols import CustomerLocks, Ledger
from fusebill_async.settling.reader import SettlingReader
from fusebill_async.settling.recalling import Recaller
from fusebill_async.settling.resolving import Resolver
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.writer import Writer


@attrs.frozen(kw_only=True)
class Writing:
    """What acts on the writes of one ledger.

    Attributes:
        writer: carries them out.
        resolver: settles those that are open.
        recaller: knows those with an idempotency key.
    """

    writer: Writer
    resolver: Resolver
    recaller: Recaller


@attrs.frozen(kw_only=True)
class WritingSetup:
    """What all writes of a client share, whatever ledger they are recorded in.

    Attributes:
        session: sends them.
        locks: one for each customer.
        seen: what was seen of customers.
        settling, updates, timeouts, fresh_connections: the client's settings.
    """

    session: SessionManager
    locks: CustomerLocks
    seen: LastSeen
    settling: SettlingPolicy
    updates: UpdatePolicy
    timeouts: Timeouts
    fresh_connections: FreshConnections

    def over(self, ledger: Ledger) -> Writing:
        """What acts on the writes of a ledger."""
        session, locks, seen, policy = self.session, self.locks, self.seen, self.settling
        open_writes = OpenWrites(session, ledger, locks)
        write_locks = WriteLocks(session, locks, seen)
        reader = SettlingReader(session, policy, seen, timeouts=self.timeouts)
        preparer = PutPreparer(session, seen, open_writes, locks, self.updates)
        fresh = self.fresh_connections
        driver = WriteDriver(session, preparer, reader, open_writes, locks, seen, fresh_connections=fresh)
        resolver = Resolver(session, reader, open_writes, write_locks)
        recaller = Recaller(session, ledger, open_writes, resolver, seen)
        writer = Writer(session, driver, reader, recaller, open_writes, write_locks, seen, policy)
        return Writing(writer=writer, resolver=resolver, recaller=recaller)
