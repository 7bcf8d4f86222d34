"""`guide`: the chapters that ship with the package."""

from __future__ import annotations

import difflib
from importlib.resources import files
from typing import Annotated

from cyclopts import Parameter as Option
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.options import Verbose
from fusebill_async.cli.terminal import output, write_text
from fusebill_async.cli.usage import UsageError


def guide(
    name: Annotated[str | None, Option(help="Such as outcomes. Without it, the guides are listed.")] = None,
    /,
    *,
    verbose: Verbose = False,  # noqa: ARG001 (every command takes it, and there is nothing to log here)
) -> ExitCode:
    """Read a guide: what happens when an answer is lost, what is raised, how the quota is shared."""
    guides = _guides()
    console = output()
    if name is None:
        _print_list(guides, console)
        return ExitCode.DONE
    text = guides.get(name.lower().replace("-", "_").removesuffix(".md"))
    if text is None:
        near = difflib.get_close_matches(name, guides, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(guides)}"
        raise UsageError(f"there is no guide {name}: {hint}")
    if console.is_terminal:
        # A link leads to a file beside this one, which no terminal can open.
        console.print(Markdown(text, hyperlinks=False))
    else:
        write_text(text)
    return ExitCode.DONE


def _guides() -> dict[str, str]:
    """The guides by name, and their Markdown."""
    folder = files("fusebill_async") / "guides"
    found = {file.name.removesuffix(".md"): file for file in folder.iterdir() if file.name.endswith(".md")}
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}


def _print_list(guides: dict[str, str], console: Console) -> None:
    rows = [(name, text.partition("\n")[0].lstrip("# ")) for name, text in guides.items()]
    if not console.is_terminal:
        write_text("".join(f"{name}\t{title}\n" for name, title in rows))
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold cyan", no_wrap=True)
    for name, title in rows:
        table.add_row(name, title)
    console.print(table)
    console.print("fusebill-async guide NAME shows one.", style="dim")
