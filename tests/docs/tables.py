"""Tables of the guides, made from the code: `python -m tests.docs.tables` writes them anew."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import attrs

from fusebill_async import errors, settings
from tests.docs.documents import documents
from tests.docs.operations_shown import operations_table, states_diagram


def errors_table() -> str:
    """Every error, what it means, its usual outcome, and what to do."""
    rows = ["| error | when it is raised | usual outcome | what to do |", "| --- | --- | --- | --- |"]
    for kind in _tree(errors.FusebillError):
        first = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        rows.append(f"| `{kind.__name__}` | {first} | {_words(kind.usual_outcome)} | {kind.advice} |")
    return "\n".join(rows)


def _tree(kind: type[errors.FusebillError]) -> Iterator[type[errors.FusebillError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _tree(child)


def _words(outcome: Any) -> str:
    return str(outcome).replace("_", " ")


def settings_table(kind: type[Any]) -> str:
    """The settings of one class, their defaults, and what its docstring says of each."""
    about = _arguments(inspect.cleandoc(kind.__doc__ or ""))
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    rows += [f"| `{field.name}` | `{field.default!r}` | {about[field.name]} |" for field in attrs.fields(kind)]
    return "\n".join(rows)


SETTINGS = (
    settings.Timeouts,
    settings.PoolSettings,
    settings.RetryPolicy,
    settings.QuotaPolicy,
    settings.SettlingPolicy,
    settings.UpdatePolicy,
)


def _arguments(docstring: str) -> dict[str, str]:
    """The parts of an `Args:` section, by name."""
    section = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", section, re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def all_settings() -> str:
    """The tables of every class of settings, under its name."""
    return "\n\n".join(f"### `{kind.__name__}`\n\n{settings_table(kind)}" for kind in SETTINGS)


TABLES = {
    "operations": operations_table,
    "states": lambda: f"```mermaid\n{states_diagram()}\n```",
    "errors": errors_table,
    "settings": all_settings,
}
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """A document with its tables as the code has them now."""
    return _TABLE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def write() -> None:
    """Write the tables of the README and of every guide anew."""
    for document in documents():
        document.write_text(with_tables(document.read_text()))


if __name__ == "__main__":
    write()
