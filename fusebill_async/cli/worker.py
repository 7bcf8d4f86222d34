"""`fusebill-async worker`: a process that carries out what a queue gives it."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter as Option
from cyclopts import validators
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.failures import Failed
from fusebill_async.cli.options import COMMON, Common
from fusebill_async.cli.performing import show
from fusebill_async.cli.terminal import messages
from fusebill_async.cli.wire_text import printable
from fusebill_async.client import FusebillClient
from fusebill_async.distributed import run_worker, worker
from fusebill_async.errors import FusebillError
from fusebill_async.observability import log_to_stderr
from fusebill_async.stores import RedisStore


async def run(
    *,
    redis: Annotated[
        str, Option(env_var="FUSEBILL_REDIS", show_default=False, help="Its URL, such as redis://host/0.")
    ],
    queue: Annotated[str, Option(help="The name of the queue, as those who fill it have it.")] = "fusebill",
    concurrency: Annotated[int, Option(validator=validators.Number(gte=1, lte=10_000), help="Calls at once.")] = 64,
    redeliver_after: Annotated[
        float,
        Option(
            validator=validators.Number(gt=0), help="Seconds without a sign of life, then another worker takes over."
        ),
    ] = 30.0,
    grace: Annotated[
        float, Option(validator=validators.Number(gte=0), help="Seconds that SIGTERM leaves to what is under way.")
    ] = 30.0,
    common: Common = COMMON,
) -> ExitCode:
    """Carry out calls and the items of jobs from a queue on Redis, each once, until Ctrl-C or SIGTERM.

    What is delivered again sends nothing, and returns the outcome that was recorded. Run as many as you like, on many
    machines: a job is handed to them by `bulk run ... --workers redis://host/0`.
    """
    given: dict[str, Any] = {"account": common.account} if common.account else {}

    def client() -> FusebillClient:
        return FusebillClient.from_env(store=RedisStore(redis), allow_http=common.allow_http, **given)

    def made() -> Any:
        return worker(
            redis,
            client=client,
            queue=queue,
            concurrency=concurrency,
            redeliver_after=redeliver_after,
            grace=grace,
        )

    try:
        # What cannot work is told before anything is taken from the queue.
        made()
        async with client() as opened:
            messages().print(
                Text.assemble(("Worker", "bold"), f"  queue {printable(queue)}  ", (f"{opened!r}", "dim")),
                soft_wrap=True,
            )
        messages().print("Ctrl-C ends it when what is under way is done.", style="dim")
        if common.verbose:
            log_to_stderr()
        await run_worker(made)
    except FusebillError as error:
        return show(Failed(error, None, None), json=common.json)
    return ExitCode.DONE
