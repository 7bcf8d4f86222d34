"""A resource as an attribute of a client."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast, overload

R = TypeVar("R")


class Resource(Generic[R]):
    """A resource of a client, made when it is first asked for.

    Asked for on the class, it is the resource's class: so `help(FusebillClient)` lists it, and a mock from
    `create_autospec(FusebillClient)` has its verbs, with their arguments.
    """

    def __init__(self, kind: type[R], source: str) -> None:
        self._kind = kind
        # The attribute of the client that the resource is made from.
        self._source = attrgetter(source)
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: type) -> type[R]: ...

    @overload
    def __get__(self, client: object, owner: type) -> R: ...

    def __get__(self, client: Any, owner: type) -> R | type[R]:
        if client is None:
            return self._kind
        # What is in an instance's own dictionary is found before this.
        resource = client.__dict__[self._name] = cast("Callable[[Any], R]", self._kind)(self._source(client))
        return resource
