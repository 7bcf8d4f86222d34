"""`FusebillClient`: settings in, resources out, open and close."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack

import attrs

from fusebill_async.bulk import Bulk
from fusebill_async.errors import ClientStateError, ConfigurationError, NotUnresolvedError, OutcomeUnknownError, shown
from fusebill_async.observability.logs import LogHooks, log_to_stderr
from fusebill_async.observability.otel import automatic
from fusebill_async.policy.clock import ServiceClock
from fusebill_async.policy.quota import QuotaView
from fusebill_async.policy.retry import RetryBudget
from fusebill_async.resources.attribute import Resource
from fusebill_async.resources.core import ClientCore
from fusebill_async.resources.customers import Customers, CustomersWithResponse
from fusebill_async.resources.integrations import (
    Geotab,
    GeotabWithResponse,
    Hubspot,
    HubspotWithResponse,
    Netsuite,
    NetsuiteWithResponse,
    Salesforce,
    SalesforceWithResponse,
)
from fusebill_async.resources.requests import download, send_request
from fusebill_async.session.admission import Admission
from fusebill_async.session.aiohttp_transport import AiohttpTransport, ClientSession, check_session
from fusebill_async.session.call import CallOptions, OnCancel
from fusebill_async.session.effects import Effects
from fusebill_async.session.events import QuotaEvent
from fusebill_async.session.hooks import Hooks, Listeners
from fusebill_async.session.manager import SessionManager
from fusebill_async.session.telling import Teller
from fusebill_async.settings import (
    PoolSettings,
    Priority,
    QuotaPolicy,
    RetryPolicy,
    SettlingPolicy,
    Timeouts,
    UpdatePolicy,
)
from fusebill_async.settling.intent import UnresolvedWrite
from fusebill_async.settling.keys import LONGEST_KEY, Recorded, key_id
from fusebill_async.settling.protocols import Store
from fusebill_async.settling.response import Resolution, Response
from fusebill_async.settling.seen import LastSeen
from fusebill_async.settling.writing import WritingSetup
from fusebill_async.stores.memory import MemoryStore
from fusebill_async.wire.checks import check_base_url, check_headers, check_key
from fusebill_async.wire.redact import HiddenText

S = TypeVar("S")

PRODUCTION = "https://secure.fusebill.com/v1"
"""The base URL of production and of new sandboxes."""


class WithResponse:
    """The resources of a client, whose verbs give a `Response` in place of the bare value."""

    customers = Resource(CustomersWithResponse, "_core")
    hubspot = Resource(HubspotWithResponse, "_core")
    salesforce = Resource(SalesforceWithResponse, "_core")
    netsuite = Resource(NetsuiteWithResponse, "_core")
    geotab = Resource(GeotabWithResponse, "_core")

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> Response[Any]:
        """Send a request to any endpoint; see `FusebillClient.request`."""
        return await send_request(self._core, method, path, query=query, body=body, idempotency_key=idempotency_key)

    async def download(self, path: str, *, query: Mapping[str, Any] | None = None) -> Response[bytes]:
        """Give the body of a GET as it came; see `FusebillClient.download`."""
        return await download(self._core, path, query=query)


class Verbs:
    """The calls that a client offers, and that a client from `with_options` offers too."""

    with_response = Resource(WithResponse, "_core")
    customers = Resource(Customers, "with_response.customers")
    hubspot = Resource(Hubspot, "with_response.hubspot")
    salesforce = Resource(Salesforce, "with_response.salesforce")
    netsuite = Resource(Netsuite, "with_response.netsuite")
    geotab = Resource(Geotab, "with_response.geotab")
    bulk = Resource(Bulk, "_core")

    def __init__(self, core: ClientCore) -> None:
        self._core = core

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Send a request to any endpoint, under the same policy.

        Args:
            method: any of HTTP's. GET, HEAD and OPTIONS are sent again; any other may move money, and is not.
            path: under the base URL, such as "/customers/42/subscriptions".
            query: names and values; None is left out, a list or a set is joined by commas, True and False go as
                `true` and `false`, a time as ISO 8601 in UTC.
            body: what JSON can hold, with `Decimal` for exact numbers.
            idempotency_key: names the call, as in every write: a second one with it sends nothing, and gives None.

        Returns:
            By the answer's `Content-Type`: the parsed JSON, numbers as int or `Decimal`; text for text; bytes for
            anything else, such as a PDF. None for an empty answer and for `null`.

        Raises:
            ValidationError: a method, path, value or body that cannot be sent; nothing was sent.
            OutcomeUnknownError: a write that was sent and got no usable answer: no read can tell.
        """
        response = await self.with_response.request(
            method, path, query=query, body=body, idempotency_key=idempotency_key
        )
        return response.value

    async def download(self, path: str, *, query: Mapping[str, Any] | None = None) -> bytes:
        """Give the body of a GET as it came, such as the PDF of an invoice. It is sent again like any read.

        Args:
            path: under the base URL.
            query: as in `request`.

        Returns:
            The bytes, at most 8 MiB, decompressed.

        Raises:
            ValidationError: a path or value that cannot be sent; nothing was sent.
            InvalidResponseError: the body is larger, or says that it is an error.
        """
        return (await self.with_response.download(path, query=query)).value

    def with_options(
        self,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        on_cancel: OnCancel | None = None,
        priority: Literal["interactive", "bulk"] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ConfiguredClient:
        """The same client with other options; it shares the pool, quota, locks and open writes.

        Args:
            timeouts: in place of the client's.
            retry: in place of the client's, but for its `budget_*`: what may be sent again in a minute is one budget
                for the client and everything made by `with_options`.
            on_cancel: "finish" lets a write under way go on when its caller is cancelled; "abort" drops its
                connection and leaves its outcome unknown.
            priority: "interactive" calls go before "bulk" ones when the pool or the quota is short. Once the day's
                quota is used up an interactive call ends at once; a bulk one waits as long as `Timeouts.queue` allows.
            headers: extra headers for each request, in place of those of this client; {} is none. Reads that settle an
                unknown outcome carry none. Their values are never logged.

        Raises:
            ConfigurationError: an option that cannot work, or a header that the client sets itself (`Authorization`,
                `Content-Type`, `Content-Length`, `Host`, `Cookie` and the like).
        """
        core = self._core
        options = core.options
        return ConfiguredClient(
            attrs.evolve(
                core,
                options=CallOptions(
                    timeouts=options.timeouts if timeouts is None else _of(Timeouts, timeouts, "timeouts"),
                    retry=options.retry if retry is None else _of(RetryPolicy, retry, "retry"),
                    budget=options.budget,
                    priority=options.priority if priority is None else _checked_priority(priority),
                    headers=options.headers if headers is None else check_headers(headers),
                    on_cancel=options.on_cancel if on_cancel is None else _checked_on_cancel(on_cancel),
                ),
            )
        )

    @property
    def quota(self) -> QuotaView:
        """The quota as the headers last told it, and how many calls wait for it."""
        return self._core.session.admission.quota

    def unresolved(self) -> list[UnresolvedWrite]:
        """The writes whose outcome is not known, oldest first: in flight, settling, or unknown."""
        return self._core.writing.resolver.unresolved()

    async def resolve(self, write: UnresolvedWrite | OutcomeUnknownError | str) -> Resolution:
        """Settle an unresolved write by reading the customer; it is never sent again.

        Args:
            write: from `unresolved()`, the error that told of it, or its id.

        Raises:
            NotUnresolvedError: it is not unresolved (any more).
        """
        return await self._core.writing.resolver.resolve(_intent_id(write))

    async def recorded(self, idempotency_key: str) -> Recorded | None:
        """What the store keeps of the call with an idempotency key. Nothing is sent.

        Args:
            idempotency_key: as it was given, 1 to 255 characters.

        Returns:
            The record; None if there was no such call, if nothing of it was sent, or if it was forgotten. Its outcome
            is `UNKNOWN` as long as the call is under way or not settled.

        Raises:
            ValidationError: no call can have this key.
            StoreUnavailableError: the store cannot be read.
        """
        return await self._core.writing.recaller.find(key_id(idempotency_key))

    async def resolve_all(self) -> list[Resolution]:
        """Settle every unresolved write, one after the other; those that others settle meanwhile are left out."""
        settled: list[Resolution] = []
        for write in self.unresolved():
            # Its owner, or another process, may have settled it while the ones before it were read.
            with suppress(NotUnresolvedError):
                settled.append(await self.resolve(write))
        return settled


class ConfiguredClient(Verbs):
    """A client with other options, from `with_options`. It ends when its client is closed."""

    def __repr__(self) -> str:
        return f"ConfiguredClient({self._core.session!r})"


class ClientOptions(TypedDict, total=False):
    """The arguments of `FusebillClient` but for the key, for type checkers."""

    base_url: str
    allow_http: bool
    account: str | None
    timeouts: Timeouts | None
    pool: PoolSettings | None
    retry: RetryPolicy | None
    quota: QuotaPolicy | None
    settling: SettlingPolicy | None
    updates: UpdatePolicy | None
    store: Store | None
    hooks: Iterable[Hooks] | None
    session: ClientSession | None
    on_cancel: OnCancel
    effects: Effects | None


class FusebillClient(Verbs):
    """The asyncio client for Fusebill (Stax Bill).

    Use it as an async context manager, or close it with `aclose()`. It belongs to the event loop of its first call.

    Args:
        key: the API key as the UI shows it; sent as `Authorization: Basic {key}`.
        base_url: ends in /v1; https, but for a loopback host.
        allow_http: let http through for any host, such as a simulator in another container. The key then goes
            unencrypted.
        account: a name for the account, 1 to 255 characters, under which a store keeps open writes, idempotency keys,
            locks and the quota. Give one wherever a store outlives the program: without it the account is known by a
            hash of `base_url` and `key`, which another API key changes.
        timeouts, pool, retry, quota, settling, updates: see their classes.
        store: where open intents, customer locks and a shared quota live; a `MemoryStore` by default.
        hooks: what is told of calls, waits, attempts, settling and the quota; see `Hooks`. Without, `OpenTelemetry` is
            used where it is installed and a global provider is set; `hooks=[]` leaves it out.
        session: an aiohttp session that all calls go through as it is: its proxy, environment, cookies, headers,
            traces, middlewares and limits hold. `timeouts=` takes the place of its timeout, and no middleware may send
            a request twice. It is never changed or closed, and belongs to the client's event loop.
        on_cancel: "finish" or "abort", see `with_options`.

    Raises:
        ConfigurationError: a key, a base URL or settings that cannot work; a session that was made with what no call
            could honour (`auth=`, an `Authorization` header, `auto_decompress=False`, a function as
            `raise_for_status=`).
    """

    def __init__(
        self,
        key: str,
        *,
        base_url: str = PRODUCTION,
        allow_http: bool = False,
        account: str | None = None,
        timeouts: Timeouts | None = None,
        pool: PoolSettings | None = None,
        retry: RetryPolicy | None = None,
        quota: QuotaPolicy | None = None,
        settling: SettlingPolicy | None = None,
        updates: UpdatePolicy | None = None,
        store: Store | None = None,
        hooks: Iterable[Hooks] | None = None,
        session: ClientSession | None = None,
        on_cancel: OnCancel = "finish",
        effects: Effects | None = None,
    ) -> None:
        # From here on no frame of a traceback shows it.
        key = HiddenText.of(key)
        self._base_url = base_url = check_base_url(base_url, allow_http=_checked_flag(allow_http, "allow_http"))
        key = check_key(key)
        limits = _of(Timeouts, timeouts, "timeouts")
        pooling = _of(PoolSettings, pool, "pool")
        retrying = _of(RetryPolicy, retry, "retry")
        quota_policy = _of(QuotaPolicy, quota, "quota")
        policy = _of(SettlingPolicy, settling, "settling")
        update_policy = _of(UpdatePolicy, updates, "updates")
        effects = effects or Effects()
        listeners = Listeners(automatic() if hooks is None else hooks, own=(LogHooks(),), now=effects.now)
        checked_on_cancel = _checked_on_cancel(on_cancel)
        checked_account = _checked_account(account)
        check_session(session, pooling)
        self._store: Store = MemoryStore() if store is None else _checked_store(store)
        # Nothing that can be refused comes after this.
        known_as = f"account\n{account}" if checked_account else f"{base_url}\n{key}"
        self._store.open(hashlib.sha256(known_as.encode()).hexdigest()[:32])
        clock = ServiceClock()
        manager = SessionManager(
            key=key,
            make_transport=lambda: AiohttpTransport(
                key=key, base_url=base_url, settings=pooling, now=effects.now, users_session=session
            ),
            admission=Admission(
                places=pooling.connections,
                policy=quota_policy,
                shared=self._store.quota(quota_policy),
                effects=effects,
                clock=clock,
                on_threshold=lambda window, used: listeners.tell(
                    "quota_threshold", QuotaEvent(window=window, used=used)
                ),
            ),
            clock=clock,
            effects=effects,
            teller=Teller(listeners, base_url),
        )
        fresh = pooling.fresh_connections or ("money" if session is None else "never")
        setup = WritingSetup(
            session=manager,
            locks=self._store.locks,
            seen=LastSeen(),
            settling=policy,
            updates=update_policy,
            timeouts=limits,
            fresh_connections=fresh,
        )
        options = CallOptions(
            timeouts=limits, retry=retrying, budget=RetryBudget(retrying), on_cancel=checked_on_cancel
        )
        super().__init__(
            ClientCore(
                base_url=base_url,
                quota_policy=quota_policy,
                setup=setup,
                writing=setup.over(self._store.ledger),
                options=options,
            )
        )

    @classmethod
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """A client from the environment: FUSEBILL_API_KEY, and FUSEBILL_BASE_URL and FUSEBILL_ACCOUNT if they are set.

        FUSEBILL_LOG=debug (or info, warning) shows the log on standard error.

        Args:
            options: the other arguments of the class.

        Raises:
            ConfigurationError: FUSEBILL_API_KEY is not set, or cannot be a key.
        """
        key = HiddenText.of(os.environ.get("FUSEBILL_API_KEY"))
        if key.kind is not str:
            raise ConfigurationError(
                "FUSEBILL_API_KEY is not set: make a key in Stax Bill under Settings > Integrations > API Key"
            )
        if level := os.environ.get("FUSEBILL_LOG"):
            _show_log(level)
        if base_url := os.environ.get("FUSEBILL_BASE_URL"):
            options.setdefault("base_url", base_url)
        if account := os.environ.get("FUSEBILL_ACCOUNT"):
            options.setdefault("account", account)
        return cls(key, **options)

    def __repr__(self) -> str:
        # A traceback may show a client that was refused while it was made.
        return f"FusebillClient(base_url={getattr(self, '_base_url', None)!r})"

    async def __aenter__(self) -> Self:
        self._core.session.open()
        # A store of the user's own may have nothing to look at.
        check = getattr(self._store, "check", None)
        if check is not None:
            try:
                await check()
            except BaseException:
                await self.aclose()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for writes under way and their settling, bounded, and close.

        What nothing was sent of yet is dropped. A write that stays unresolved is named in a warning.
        """
        session = self._core.session
        if session.closed:
            return
        session.stop_admitting()
        try:
            await self._core.writing.writer.aclose()
        finally:
            try:
                await session.aclose()
            finally:
                await self._store.aclose()


def _show_log(level: str) -> None:
    try:
        log_to_stderr(level)
    except ValueError:
        raise ConfigurationError(f"FUSEBILL_LOG must be debug, info, warning or error, not {shown(level)}") from None


def _of(kind: type[S], given: Any, name: str) -> S:
    """The given settings, or the defaults for None."""
    if given is None:
        return kind()
    if not isinstance(given, kind):
        raise ConfigurationError(f"{name}= must be {kind.__name__}(...), not {shown(given)}")
    return given


def _checked_flag(given: Any, name: str) -> bool:
    if not isinstance(given, bool):
        raise ConfigurationError(f"{name}= must be True or False, not {shown(given)}")
    return given


def _checked_account(account: Any) -> bool:
    """Whether the account was given a name."""
    if account is None:
        return False
    if not isinstance(account, str) or not 1 <= len(account) <= LONGEST_KEY or not account.isprintable():
        raise ConfigurationError(f"account= must be a name of 1 to {LONGEST_KEY} printable characters")
    return True


def _checked_on_cancel(on_cancel: Any) -> OnCancel:
    # No set: what was given may have no hash.
    if on_cancel not in ("finish", "abort"):
        raise ConfigurationError(f'on_cancel= must be "finish" or "abort", not {shown(on_cancel)}')
    checked: OnCancel = on_cancel
    return checked


def _checked_priority(priority: Any) -> Priority:
    if priority not in ("interactive", "bulk"):
        raise ConfigurationError(f'priority= must be "interactive" or "bulk", not {shown(priority)}')
    return Priority[priority.upper()]


def _checked_store(store: Any) -> Store:
    """Check what was given as `store=`. A store of the user's own needs no base class, only the methods."""
    if isinstance(store, (str, os.PathLike)):
        raise ConfigurationError("store= must be a store, as in store=SQLiteStore(path), not a path")
    missing = [name for name in ("open", "quota", "ledger", "locks", "aclose") if not hasattr(store, name)]
    if missing or isinstance(store, type):
        raise ConfigurationError(
            f"store= must be a MemoryStore(), a SQLiteStore(path) or a RedisStore(url), not {shown(store)}"
        )
    checked: Store = store
    return checked


def _intent_id(write: UnresolvedWrite | OutcomeUnknownError | str) -> str:
    if isinstance(write, UnresolvedWrite):
        return write.id
    if isinstance(write, OutcomeUnknownError):
        if write.intent_id is None:
            raise ClientStateError("this error tells of no write that could be resolved")
        return write.intent_id
    return write
