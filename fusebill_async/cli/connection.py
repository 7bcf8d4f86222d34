"""The client that a command uses: key and base URL come from the environment, never from an option."""

from __future__ import annotations

from typing import Any

from fusebill_async.cli.options import Common
from fusebill_async.cli.progress import Progress
from fusebill_async.client import FusebillClient
from fusebill_async.observability import log_to_stderr
from fusebill_async.observability.otel import automatic
from fusebill_async.settings import SettlingPolicy, Timeouts
from fusebill_async.stores.sqlite import SQLiteStore

# A program that ends cannot settle in the background: it waits for two reads a quiet period (60 s) apart.
SETTLING = SettlingPolicy(wait=120.0)
TIMEOUTS = Timeouts()


def open_client(common: Common, waits: Progress | None = None) -> FusebillClient:
    """A client from FUSEBILL_API_KEY and FUSEBILL_BASE_URL.

    Args:
        common: the options of the command.
        waits: says what is waited for; one that is made for it, if None.

    Raises:
        ConfigurationError: the environment does not hold what is needed.
    """
    given: dict[str, Any] = {"account": common.account} if common.account else {}
    # Hooks of our own would leave out those of OpenTelemetry, which a client without any uses by itself.
    client = FusebillClient.from_env(
        settling=SETTLING,
        timeouts=TIMEOUTS,
        allow_http=common.allow_http,
        hooks=[waits or Progress(), *automatic()],
        store=None if common.kept_in is None else SQLiteStore(common.kept_in),
        **given,
    )
    if common.verbose:
        # After the client, which may have set the level of FUSEBILL_LOG.
        log_to_stderr()
    return client
