"""What a journal says that its job does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusebill_async.bulk.items import Kind, UpdateJob, VerbJob
from fusebill_async.bulk.undoing import UndoneUpdate, UndoneVerb
from fusebill_async.operations import BY_TITLE, REPLACE, UPDATE


def kind_of(title: str, options: Mapping[str, Any]) -> Kind:
    """The kind of a job.

    Args:
        title: of the operation.
        options: from `Kind.options`.
    """
    operation = BY_TITLE[title]
    if "undoes" in options:
        return undo_of(kind_of(options["undoes"], options["of"]), options["arguments"])
    if operation in {UPDATE, REPLACE}:
        return UpdateJob(operation=operation, **options)
    return VerbJob(operation, options["arguments"])


def undo_of(undone: Kind, arguments: Mapping[str, Any]) -> UndoneUpdate | UndoneVerb:
    """The kind of the job that takes another one back.

    Args:
        undone: what that one did.
        arguments: for every item.
    """
    if undone.operation in {UPDATE, REPLACE}:
        return UndoneUpdate(undone=undone, arguments=arguments)
    return UndoneVerb(undone=undone, arguments=arguments)
