"""Changes as a real mistake could make them, and the test that must notice each."""

from __future__ import annotations

from enum import StrEnum

import attrs


class Weight(StrEnum):
    """How bad the mistake would be."""

    SEVERE = "severe"
    """Money moves twice, a change is lost, an outcome is untrue, or the key leaks."""
    SERIOUS = "serious"
    """A promise of a setting, of the quota or of a store is broken."""


@attrs.frozen
class Mutation:
    """One change.

    Attributes:
        name: a short name.
        weight: how bad it would be.
        promise: what it breaks.
        file: of the package.
        old: the text that is there; its first occurrence is changed.
        new: what takes its place.
        test: the test that must fail, as pytest takes it; more than one by spaces.
    """

    name: str
    weight: Weight
    promise: str
    file: str
    old: str
    new: str
    test: str


def _severe(name: str, promise: str, file: str, old: str, new: str, test: str) -> Mutation:
    return Mutation(name, Weight.SEVERE, promise, file, old, new, test)


def _serious(name: str, promise: str, file: str, old: str, new: str, test: str) -> Mutation:
    return Mutation(name, Weight.SERIOUS, promise, file, old, new, test)


_OUTCOMES, _STORES = "tests/outcomes/test_", "tests/stores/test_"
_QUOTA, _CLIENT = "tests/quota/test_", "tests/client/test_"

SEVERE = (
    _severe(
        "an-order-without-its-key",
        "an item that is delivered twice has one effect",
        "bulk/orders.py",
        "        write.key = call_key(",
        "        _ = call_key(",
        "tests/workers/test_orders.py",
    ),
    _severe(
        "a-store-that-forgot-is-believed",
        "an effect is not told as a refusal where the store has lost its key",
        "bulk/orders.py",
        "if order.again and found is None and (",
        "if found is not None and order.again and (",
        "tests/workers/test_orders.py",
    ),
    _severe(
        "handed-out-and-not-written-down",
        "a job does not send what it has handed to workers",
        "bulk/handing_out.py",
        "await self._ledger.open(intent)",
        "self._ledger._open[intent.id] = intent",
        "tests/workers/test_orders.py",
    ),
    _severe(
        "a-redis-without-a-file",
        "a Redis that would lose records is refused",
        "stores/redis_store.py",
        'if not told.get("aof_enabled"):',
        'if told.get("aof_enabled") is None:',
        "tests/stores/test_redis_durability.py",
    ),
    _severe(
        "a-key-of-another-call-is-believed",
        "a key is refused for another call",
        "settling/recalling.py",
        "if earlier.digest != key.digest:",
        "if not earlier.digest:",
        "tests/keys/test_key_table.py::test_a_key_of_another_call_is_refused_and_nothing_is_sent",
    ),
    _severe(
        "an-applied-key-is-sent-again",
        "one key is one effect",
        "settling/recalling.py",
        "            case Outcome.APPLIED:\n                return await self._replay(write, earlier)\n",
        "",
        "tests/keys/test_key_table.py::test_a_second_call_with_the_key_sends_no_write",
    ),
    _severe(
        "a-key-without-its-lock",
        "two calls with one key at the same moment are one call",
        "settling/locking.py",
        "return write.key.lock if number is None and write.key is not None else number",
        "return number",
        "tests/keys/test_key_table.py::test_calls_without_a_customer_wait_too",
    ),
    _severe(
        "a-settled-key-is-written-over",
        "what somebody else has settled stands",
        "stores/sqlite.py",
        "AND ended IS NULL",
        "",
        "tests/keys/test_key_boundaries.py",
    ),
    _severe(
        "a-key-is-not-recorded",
        "a keyed write is recorded before its first byte, in memory, too",
        "settling/driver.py",
        "if self._open_writes.records_all or write.key is not None:",
        "if self._open_writes.records_all:",
        "tests/keys/test_key_table.py::test_a_second_call_with_the_key_sends_no_write",
    ),
    _severe(
        "a-lost-key-tells-its-own-outcome",
        "no delivery denies an effect that happened",
        "settling/writer.py",
        "if not self._locks.still_hold(write.locked):",
        "if not write:",
        "tests/keys/test_key_boundaries.py",
    ),
    _severe(
        "any-page-ahead",
        "a list gives every customer once",
        "resources/listing.py",
        "if self._ahead is None or self._ahead_number != number:",
        "if self._ahead is None:",
        "tests/lifecycle/test_lifecycle_odd_lists.py",
    ),
    _severe(
        "probe-not-ended",
        "a dropped probe lets the next one through",
        "settling/outage.py",
        "        finally:\n            self._probing = False",
        "        except ArithmeticError:\n            raise\n        else:\n            self._probing = False",
        _OUTCOMES + "probes.py::test_a_probe_that_is_dropped_lets_the_next_one_through",
    ),
    _severe(
        "money-as-the-rest",
        "what moves money is given a minute",
        "settling/reader.py",
        "quiet_seconds(moves_money=call.operation.moves_money)",
        "quiet_seconds(moves_money=False)",
        _OUTCOMES + "quiet_periods.py",
    ),
    _severe(
        "a-short-quiet-period",
        "what moves money is given a minute",
        "settings.py",
        "return 60.0 if moves_money else 10.0",
        "return 10.0",
        _OUTCOMES + "quiet_periods.py",
    ),
    _severe(
        "intent-not-synced",
        "an intent is on the disk before its write goes out",
        "stores/sqlite.py",
        "durable=True)",
        "durable=False)",
        _STORES + "store_writer.py",
    ),
    _severe(
        "group-synced-if-all-want-it",
        "what must survive is safe together with what need not",
        "stores/group_commit.py",
        "any(job.durable for job in batch)",
        "all(job.durable for job in batch)",
        _STORES + "store_writer.py",
    ),
    _severe(
        "error-taken-for-success",
        "an error that Redis answers is no success",
        "stores/redis_commands.py",
        "job.finish(_told(answer) if isinstance(answer, Exception) else answer)",
        "job.finish(1 if isinstance(answer, Exception) else answer)",
        _STORES + "store_locks.py::test_an_error_that_redis_answers_is_no_success",
    ),
    _severe(
        "lease-from-its-answer",
        "the time of a lease counts from when it was asked for",
        "stores/redis_locks.py",
        "_Lease(asked, newest",
        "_Lease(Moment.now(effects), newest",
        _STORES + "store_leases.py",
    ),
    _severe(
        "lease-without-margin",
        "a lease is believed for four fifths of its time",
        "stores/lease.py",
        "usable = ttl * (1 - MARGIN)",
        "usable = ttl",
        _STORES + "store_leases.py",
    ),
    _severe(
        "lease-by-one-clock",
        "either clock ends a lease",
        "stores/lease.py",
        " and now.wall - asked.wall < usable",
        "",
        _STORES + "store_leases.py",
    ),
    _severe(
        "anybodys-lease",
        "who lost a lease does not give back that of the next",
        "stores/redis_locks.py",
        "if redis.call('GET', KEYS[1]) == ARGV[1] then",
        "if true then",
        _STORES + "store_leases.py",
    ),
    _severe(
        "rolled-back-renewal",
        "a renewal that was rolled back is none",
        "stores/sqlite_leases.py",
        "        if committed:",
        "        if True:",
        _STORES + "store_leases.py",
    ),
    _severe(
        "lease-not-looked-at",
        "a lease is looked at right before the first byte",
        "settling/driver.py",
        "and not self._locks.still_held(write.locked)",
        "and False",
        _STORES + "store_leases.py",
    ),
    _severe(
        "one-account-for-all",
        "another key is another account",
        "client.py",
        'else f"{base_url}\\n{key}"',
        'else f"{base_url}"',
        _STORES + "store_records.py::test_another_key_is_another_account",
    ),
    _severe(
        "budget-of-the-handle",
        "one budget of retries serves all handles",
        "client.py",
        "budget=options.budget,",
        "budget=RetryBudget(options.retry),",
        _CLIENT + "handles.py",
    ),
    _severe(
        "timeouts-lost",
        "a handle keeps the client's timeouts",
        "client.py",
        "timeouts=options.timeouts if timeouts is None",
        "timeouts=Timeouts() if timeouts is None",
        _CLIENT + "handles.py",
    ),
    _severe(
        "retry-not-taken",
        "a handle takes its own retry policy",
        "client.py",
        'retry=options.retry if retry is None else _of(RetryPolicy, retry, "retry")',
        "retry=options.retry",
        _CLIENT + "handles.py",
    ),
    _severe(
        "abort-lost",
        "a handle keeps what a cancelled caller leaves",
        "client.py",
        "on_cancel=options.on_cancel if on_cancel is None",
        'on_cancel="finish" if on_cancel is None',
        _CLIENT + "handles.py",
    ),
    _severe(
        "update-policy-lost",
        "the policy of updates is the client's",
        "client.py",
        "updates=update_policy,",
        "updates=UpdatePolicy(),",
        _CLIENT + "handles.py",
    ),
    _severe(
        "suspended-is-no-success",
        "what the system made of a success is a success",
        "operations.py",
        "_RUNNING = StatusIs(frozenset({Status.ACTIVE, Status.SUSPENDED}))",
        "_RUNNING = StatusIs(frozenset({Status.ACTIVE}))",
        _OUTCOMES + "goals_of_operations.py",
    ),
    _severe(
        "hold-is-no-success",
        "what somebody made of a success is a success",
        "operations.py",
        "StatusIs(frozenset({Status.ACTIVE, Status.SUSPENDED, Status.HOLD}))",
        "StatusIs(frozenset({Status.ACTIVE, Status.SUSPENDED}))",
        _OUTCOMES + "goals_of_operations.py",
    ),
    _severe(
        "cut-before-redacting",
        "no error holds a part of the key",
        "wire/refusals.py",
        "body=redact_bytes(body, key)[:BODY_KEPT]",
        "body=redact_bytes(body[:BODY_KEPT], key)",
        _OUTCOMES + "key_leaks.py",
    ),
    _severe(
        "old-answer-believed",
        "an answer older than what was known shows nothing",
        "settling/write.py",
        "lags_behind(reading.modified, self._known.modified)",
        "False",
        _OUTCOMES + "answers.py",
    ),
    _severe(
        "foreign-create-believed",
        "a customer with another reference is somebody else's",
        "settling/searching.py",
        "not same_value(sent, reference):\n        return False",
        "False:\n        return False",
        "tests/lifecycle/test_lifecycle_create.py " + _OUTCOMES + "answers.py",
    ),
    _severe(
        "advice-to-repeat",
        "an unknown outcome is not to be repeated",
        "cli/failures.py",
        "It may have happened. Look before you send it again",
        "Send it again",
        "tests/cli/test_cli_output.py",
    ),
)

SERIOUS = (
    _serious(
        "total-anew",
        "the total limit counts all attempts",
        "session/slot.py",
        "timeouts.total - call.time_used)",
        "timeouts.total)",
        _CLIENT + "timeouts.py::test_total_counts_all_attempts_and_the_pauses_between_them",
    ),
    _serious(
        "read-limits-the-whole",
        "an answer that comes slowly but steadily is no silence",
        "session/aiohttp_transport.py",
        "total=limits.total, connect=limits.connect",
        "total=min(limits.total, limits.read), connect=limits.connect",
        _CLIENT + "timeouts.py",
    ),
    _serious(
        "connect-is-no-timeout",
        "a connection that takes too long is a timeout",
        "session/aiohttp_transport.py",
        'see Timeouts(connect=)", timed_out=True)',
        'see Timeouts(connect=)")',
        _CLIENT + "timeouts.py",
    ),
    _serious(
        "queue-anew",
        "the queue limit counts once for lock and pool",
        "session/slot.py",
        "started + queue - call.time_queued",
        "started + queue",
        _CLIENT + "timeouts.py",
    ),
    _serious(
        "connect-of-nobody",
        "a handle's connect limit holds",
        "session/aiohttp_transport.py",
        "connect=limits.connect, sock_read",
        "connect=10.0, sock_read",
        _CLIENT + "timeouts.py",
    ),
    _serious(
        "pool-counts-as-connecting",
        "waiting in a user's pool is no connecting",
        "session/aiohttp_transport.py",
        "sock_connect=limits.connect",
        "connect=limits.connect",
        _CLIENT + "timeouts.py",
    ),
    _serious(
        "keepalive-ignored",
        "an idle connection is kept for keepalive",
        "session/aiohttp_transport.py",
        "keepalive_timeout=settings.keepalive",
        "keepalive_timeout=15.0",
        _CLIENT + "pool.py",
    ),
    _serious(
        "cookies-kept",
        "the pool takes no cookies",
        "session/aiohttp_transport.py",
        "            cookie_jar=aiohttp.DummyCookieJar(),\n",
        "",
        _CLIENT + "pool.py",
    ),
    _serious(
        "calls-while-closing",
        "no call begins while the client closes",
        "session/admission.py",
        "self._admit_only(Priority.SETTLING)",
        "self._admit_only(Priority.BULK)",
        _CLIENT + "life.py",
    ),
    _serious(
        "store-left-open",
        "a pool that fails to close leaves the store closed",
        "client.py",
        "            finally:\n                await self._store.aclose()",
        "            except ArithmeticError:\n                raise\n            else:\n"
        "                await self._store.aclose()",
        _CLIENT + "life.py " + _STORES + "store_records.py",
    ),
    _serious(
        "threshold-unwired",
        "thresholds are told to hooks",
        "session/admission.py",
        "for window, part in passed:",
        "for window, part in []:",
        _QUOTA + "quota_of_a_client.py " + _QUOTA + "admission.py",
    ),
    _serious(
        "all-of-the-quota-each",
        "each process keeps to its part while the shared budget is away",
        "session/sharing.py",
        "-> None:\n        self._quota.use_local(self._policy.share / self._policy.workers)",
        "-> None:\n        self._quota.use_local(self._policy.share)",
        _QUOTA + "admission.py",
    ),
    _serious(
        "grant-kept",
        "what was granted and not used goes back",
        "session/sharing.py",
        "await self._shared.exchange(self._quota.report(self._effects.now(), 0, 0, Priority.BULK))",
        "pass",
        _QUOTA + "redis_quota.py::test_what_was_granted_and_not_used_goes_back_when_a_process_closes",
    ),
    _serious(
        "errors-end-pacing",
        "an error without quota headers does not end pacing",
        "policy/quota.py",
        "elif 200 <= status < 300 and not",
        "elif not",
        _QUOTA + "silent_service.py " + _QUOTA + "admission.py",
    ),
    _serious(
        "no-shortest-pause",
        "a 429 pauses for a second at least",
        "policy/quota.py",
        "until = received + min(2.0 ** min(self._refusals - 1, 10), max(1.0, length))",
        "until = received",
        _QUOTA + "admission.py",
    ),
    _serious(
        "under-way-exhausts",
        "a day of which all is under way is not exhausted",
        "policy/quota.py",
        "left = self._day.left(self._share) - self._reserve(priority)",
        "left = self._day.left(self._share) - self._reserve(priority) - self._held",
        _QUOTA + "admission.py",
    ),
    _serious(
        "no-shared-reserve",
        "the reserve of the day is kept by all processes",
        "policy/quota.py",
        "day_reserve=int(self._reserve(priority))",
        "day_reserve=0",
        _QUOTA + "redis_quota.py",
    ),
    _serious(
        "old-window-back",
        "a late process does not bring an old window back",
        "stores/redis_quota.py",
        "  elseif apart < -1 then\n    return\n",
        "  elseif apart < -2e9 then\n    return\n",
        _QUOTA + "redis_quota.py",
    ),
    _serious(
        "day-unshared",
        "the day bounds what is granted",
        "stores/redis_quota.py",
        ", left(state.day, a.per_day, a.day_reserve))",
        ")",
        _QUOTA + "redis_quota.py",
    ),
    _serious(
        "the-dead-hold-on",
        "what a dead process held is free after a window",
        "stores/redis_quota.py",
        "state.processes[name] = nil --",
        "elsewhere = elsewhere + process.held --",
        _QUOTA + "redis_quota.py",
    ),
    _serious(
        "one-blocks-all",
        "a customer that cannot be read does not hold up the others",
        "settling/outage.py",
        "outage = len(self._failed) > 1",
        "outage = True",
        _OUTCOMES + "probes.py",
    ),
    _serious(
        "no-back-off",
        "probes that fail become ever more seldom",
        "settling/outage.py",
        "max(failures + 1, self._failures)",
        "1",
        _OUTCOMES + "probes.py",
    ),
    _serious(
        "no-growth",
        "the pauses between more reads grow",
        "settling/reader.py",
        "policy.quiet_growth ** (len(misses) - 1)",
        "1.0",
        _OUTCOMES + "quiet_periods.py",
    ),
    _serious(
        "sent-later",
        "a write is never listed as sent later than it was",
        "settling/open_writes.py",
        "return bounds[0] if",
        "return bounds[1] + 5.0 if",
        _OUTCOMES + "goals_of_operations.py",
    ),
    _serious(
        "order-reversed",
        "what nobody waits for is done in its order",
        "stores/group_commit.py",
        "self._jobs.extend(again)",
        "self._jobs.extend(reversed(again))",
        _STORES + "store_writer.py",
    ),
    _serious(
        "tried-once",
        "what is closed while the file is locked is closed for others too",
        "stores/group_commit.py",
        "            if not given_up:\n",
        "            if False:\n",
        _STORES + "store_writer.py",
    ),
    _serious(
        "fork-hangs",
        "after a fork the child is told and does not hang",
        "stores/group_commit.py",
        "if os.getpid() != self._process:",
        "if False:",
        _STORES + "store_writer.py",
    ),
    _serious(
        "never-free",
        "a lease of the dead comes free even after the clock was set back",
        "stores/sqlite_leases.py",
        " and refusal != stale",
        "",
        _STORES + "store_leases.py",
    ),
    _serious(
        "two-loops",
        "a store in use in another event loop is refused",
        "stores/sqlite.py",
        "not self._loop.is_closed() and len(self._here)",
        "False",
        _STORES + "store_locks.py",
    ),
    _serious(
        "two-makers",
        "two processes may make the file at once",
        "stores/sqlite_file.py",
        "# Another process may have been faster.\n            if not _is_ours(connection, self.path):",
        "# Another process may have been faster.\n            if True:",
        _STORES + "store_records.py",
    ),
    _serious(
        "starved-by-sqlite",
        "whoever asks again and again starves nobody",
        "stores/sqlite_leases.py",
        "reserved = next_owner not in {None, me.id} and",
        "reserved = False and",
        _STORES + "store_leases.py",
    ),
    _serious(
        "starved-by-redis",
        "whoever asks again and again starves nobody",
        "stores/redis_locks.py",
        "local reserved = first and first ~= ARGV[1]",
        "local reserved = false",
        _STORES + "store_leases.py",
    ),
    _serious(
        "no-patience",
        "a look at what is open waits no longer than the patience",
        "stores/redis_commands.py",
        "self._url, socket_timeout=self._patience, socket_connect_timeout=self._patience",
        "self._url",
        _STORES + "store_locks.py::test_a_look_at_what_is_open_waits_no_longer_than_the_patience",
    ),
    _serious(
        "bad-key-is-a-bad-request",
        "a malformed key is an authentication error",
        "wire/refusals.py",
        "if _MALFORMED_KEY in reason.lower():",
        "if False:",
        _CLIENT + "reasons.py",
    ),
    _serious(
        "missing-is-none-left",
        "a header that is missing is not read as none left",
        "wire/quota_headers.py",
        'headers.get(f"X-Rate-Limit-Remaining-{window}", "")',
        'headers.get(f"X-Rate-Limit-Remaining-{window}", "0")',
        _QUOTA + "quota_headers.py",
    ),
    _serious(
        "control-characters",
        "what the service says cannot act on the terminal",
        "cli/failures.py",
        "text = printable(error.message)",
        "text = error.message",
        "tests/cli/test_cli_commands.py",
    ),
    _serious(
        "status-option-lost",
        "--allow-status-change does what it says",
        "cli/update_commands.py",
        '"allow_status_change": allow_status_change}',
        '"allow_status_change": False}',
        "tests/cli/test_cli_output.py",
    ),
    _serious(
        "resend-option-lost",
        "--resend of create does what it says",
        "cli/update_commands.py",
        "await create(resend=resend, ",
        "await create(",
        "tests/cli/test_cli_commands.py",
    ),
)

MUTATIONS = SEVERE + SERIOUS

GONE = {
    "connect against total": "one timer of the exchange holds the total over connecting, too (`Limits.total`)",
    "lent quota kept back of a grant": "what a process did not use of a grant goes back with its next report",
    "stray answers learnt from timestamps": "what moves money has a fresh connection, and old answers show nothing",
}
"""Changes that nothing can make any more, since the mechanism is gone; what holds in its place."""
