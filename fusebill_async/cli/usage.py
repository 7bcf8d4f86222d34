"""What is wrong with a command line, told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cyclopts import App, CycloptsError, MissingArgumentError
from cyclopts.argument import Argument
from rich.text import Text

from fusebill_async.cli.exit_code import ExitCode
from fusebill_async.cli.terminal import messages, write_json
from fusebill_async.cli.wire_text import printable
from fusebill_async.converting import encode
from fusebill_async.outcome import Outcome


class UsageError(Exception):
    """A command line that cannot work. Nothing was sent."""


def refuse(error: CycloptsError | UsageError, app: App, arguments: Sequence[str]) -> ExitCode:
    """Tell what is wrong, on stderr for people or on stdout as JSON."""
    text = _missing(error, app, arguments) if isinstance(error, MissingArgumentError) else str(error)
    if "--json" in arguments:
        write_json(encode({"outcome": Outcome.NOT_SENT, "error": "UsageError", "message": text}))
    else:
        messages().print(Text.assemble(("usage", "bold red"), f"  {printable(text)}"))
        chain = error.command_chain if isinstance(error, CycloptsError) else None
        words = " ".join(("help", *(chain or ())))
        messages().print(f"fusebill-async {words} shows {'how it is used' if chain else 'what there is'}.", style="dim")
    return ExitCode.USAGE


def _missing(error: MissingArgumentError, app: App, arguments: Sequence[str]) -> str:
    """Everything that is missing, and not the first of it alone."""
    first, command = error.argument, app
    if first is None:
        return str(error)
    for name in error.command_chain or ():
        command = command[name]
    given = {word.partition("=")[0] for word in arguments}
    if given & set(first.names):
        # Its name is there, and what should follow is not.
        return f"{_shown(first)} is without a value"
    # What has no name of its own comes first: if another one is the first to be missing, it is there.
    missing = [one for one in command.assemble_argument_collection() if one.required and not given & set(one.names)]
    wanted = [one for one in missing if one.index is None or one.names == first.names]
    return f"{' '.join(error.command_chain or ())} needs {_listed(map(_shown, wanted))}"


def _shown(argument: Argument) -> str:
    name, choices = argument.names[0], argument.get_choices()
    if choices:
        return f"{name} {'|'.join(choices)}"
    return name.replace("--", "--[no-]", 1) if argument.negatives else name


def _listed(texts: Iterable[str]) -> str:
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last
