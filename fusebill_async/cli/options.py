"""The options that commands share, and how rows of the table of operations become options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, cast

import attrs
from cyclopts import Group, Token
from cyclopts import Parameter as Option

from fusebill_async.cli.ids import whole_number, whole_numbers
from fusebill_async.converting import UnreadableAnswer, decode_json, wire_fields
from fusebill_async.operations import Operation, Parameter

_SHORT_NAMES = {
    "preview_activation": "preview",
    "activate_all_subscriptions": "all_subscriptions",
    "activate_all_draft_purchases": "all_draft_purchases",
    "temporarily_disable_auto_post": "disable_auto_post",
    "subscription_ids": "subscription_id",
    "purchase_ids": "purchase_id",
}
"""Commands and options whose names are shorter than those of the coroutines and the parameters."""


def command_name(operation: Operation) -> str:
    """The name of an operation's command, within the group of its resource."""
    return _SHORT_NAMES.get(operation.name, operation.name).replace("_", "-")


Form: TypeAlias = Literal["table", "json", "jsonl", "csv"]

_COLUMNS = "id,status,company_name,primary_email,reference"
_EVERYWHERE = Group("Common options", sort_key=9)

Json: TypeAlias = Annotated[
    bool, Option(name="--json", negative="", show_default=False, group=_EVERYWHERE, help="Print JSON.")
]
Verbose: TypeAlias = Annotated[
    bool,
    Option(
        name=("--verbose", "-v"), negative="", show_default=False, group=_EVERYWHERE,
        help="Show the log on stderr: every call and every request.",
    ),
]  # fmt: skip
Resend: TypeAlias = Annotated[
    bool,
    Option(
        name="--resend", negative="", show_default=False,
        help="Send it again if it got lost, after reads have shown that it did not happen.",
    ),
]  # fmt: skip


@Option(name="*")
@attrs.frozen(kw_only=True)
class Common:
    """The options of every command that asks the service."""

    json: Json = False
    verbose: Verbose = False
    account: Annotated[
        str | None,
        Option(
            env_var="FUSEBILL_ACCOUNT", show_default=False, group=_EVERYWHERE,
            help="A name for the account, under which a store keeps things. Another API key then finds them.",
        ),
    ] = None  # fmt: skip

    allow_http: Annotated[
        bool,
        Option(
            negative="", show_default=False, group=_EVERYWHERE,
            help="Let http through for any host, such as a simulator in another container: the key goes unencrypted.",
        ),
    ] = False  # fmt: skip

    @property
    def kept_in(self) -> Path | None:
        """The file that keeps what is not known of a write; None is this process alone."""
        return None


@Option(name="*")
@attrs.frozen(kw_only=True)
class Reading(Common):
    """The options of what gives many customers."""

    format: Annotated[
        Form | None,
        Option(
            name=("--format", "-o"), show_default=False,
            help="How they are printed: json is a list, jsonl a line each; a table in a pipe has tabs.",
        ),
    ] = None  # fmt: skip
    columns: Annotated[str, Option(help="Fields for table and csv, such as id,customer_reference.reference1.")] = (
        _COLUMNS
    )
    excel: Annotated[
        bool,
        Option(
            negative="", show_default=False,
            help="With csv: a spreadsheet sees UTF-8, and takes no cell for a formula (' stands before it).",
        ),
    ] = False  # fmt: skip

    @property
    def form(self) -> Form:
        """What is asked for: --json is -o json."""
        return self.format or ("json" if self.json else "table")


@Option(name="*")
@attrs.frozen(kw_only=True)
class Kept(Common):
    """The options of what uses a store, too."""

    store: Annotated[
        Path | None,
        Option(
            env_var="FUSEBILL_STORE", show_default=False, group=_EVERYWHERE,
            help="A SQLite file that keeps what is not known of a write, for unresolved and resolve.",
        ),
    ] = None  # fmt: skip

    @property
    def kept_in(self) -> Path | None:
        """The file, where one is named: an empty FUSEBILL_STORE names none."""
        return None if self.store == Path() else self.store


@Option(name="*")
@attrs.frozen(kw_only=True)
class Writing(Kept):
    """The options of a write, too."""

    idempotency_key: Annotated[
        str | None,
        Option(
            show_default=False,
            help="A name for this call. A second call with it, on the same --store, has no second effect.",
        ),
    ] = None  # fmt: skip
    dry_run: Annotated[
        bool,
        Option(negative="", show_default=False, help="Show what would be sent and what it would do, and send nothing."),
    ] = False


@Option(name="*")
@attrs.frozen(kw_only=True)
class Money(Writing):
    """The options of what may invoice, charge or credit, too."""

    yes: Annotated[
        bool,
        Option(name=("--yes", "-y"), negative="", show_default=False, help="Do not ask, where a terminal would be."),
    ] = False


@Option(name="*")
@attrs.frozen(kw_only=True)
class Resending(Money):
    """The options of what may be sent again if it got lost, too."""

    resend: Resend = False


COMMON, READING, KEPT, WRITING = Common(), Reading(), Kept(), Writing()
MONEY, RESENDING = Money(), Resending()
"""None of them given."""


def option_type(parameter: Parameter) -> Any:
    """The type of the option that a parameter of an operation becomes, with its help."""
    about = parameter.about[:1].upper() + parameter.about[1:]
    text = f"{about}." if about else None
    name = option_name(parameter)
    kind: Any
    match parameter.kind:
        case "bool":
            return Annotated[bool if parameter.required else bool | None, Option(name=name, help=text)]
        case "id":
            kind = int if parameter.required else int | None
            return Annotated[kind, Option(name=name, converter=whole_number, help=text)]
        case "ids":
            return Annotated[
                tuple[int, ...],
                Option(
                    name=name,
                    negative="",
                    show_default=False,
                    help=f"{text} Repeat it for more.",
                    converter=whole_numbers,
                ),
            ]
        case "object":
            option = Option(name=name, help=f"{text} As JSON.", converter=json_object)
            return Annotated[dict[str, Any] | None, option]
        case _:
            kind = Literal[tuple(map(str, parameter.choices))] if parameter.choices else str
            option = Option(name=name, help=text, converter=_one_of(parameter.choices))
            return Annotated[kind if parameter.required else kind | None, option]


def nulls_type(names: tuple[str, ...]) -> Any:
    """The type of the option that sends nulls, for the parameters that may be one."""

    def convert(_kind: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
        given = tuple(token.value.replace("-", "_") for token in tokens)
        for name in given:
            if name not in names:
                raise ValueError(f"{name!r} must be one of {', '.join(names)}")
        return given

    shown = " or ".join(name.replace("_", "-") for name in names)
    return Annotated[
        tuple[str, ...],
        Option(
            name="--null", negative="", show_default=False, converter=convert,
            help=f"Clear this mapping: {shown}. Repeat it for more.",
        ),
    ]  # fmt: skip


def json_object(_kind: Any, tokens: Sequence[Token]) -> dict[str, Any]:
    """A JSON object."""
    text = tokens[0].value.encode()
    try:
        wire_fields(text)
    except UnreadableAnswer as error:
        raise ValueError(f"it must be a JSON object: {error.reason}") from None
    return cast("dict[str, Any]", decode_json(text))


def option_name(parameter: Parameter) -> str:
    """The name of the option that a parameter of an operation becomes."""
    return "--" + _SHORT_NAMES.get(parameter.name, parameter.name).replace("_", "-")


def _one_of(choices: tuple[str, ...]) -> Callable[[Any, Sequence[Token]], str]:
    """A text that is one of the API's own, in any case; any text where there are no choices."""

    def convert(_kind: Any, tokens: Sequence[Token]) -> str:
        text = tokens[0].value
        if not choices:
            return text
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        raise ValueError(f"{text!r} must be one of {', '.join(choices)}")

    return convert
