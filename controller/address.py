"""What an address of the show is: where a value is read, written and what it may be. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.errors import BadValue, UnknownAddress
from controller.show import Show
from controller.surroundings import Surroundings
from stage.errors import Problem


@dataclass(frozen=True, slots=True)
class Address:
    """One row of the table.

    pattern : path, `{}` stands for an id; collection : which ids those are (a field of Surroundings); kind : the
    type a value is converted to; about : a sentence for people; read, write : from a show, into a new one.
    """

    pattern: str
    collection: str
    kind: Any
    about: str
    read: Callable[[Show, str], Any]
    write: Callable[[Show, str, Any, Surroundings], Show]
    base: float | None = None
    """What steps are added to where nothing else was set; of numbers that `read` has no value of."""

    @property
    def numeric(self) -> bool:
        """Whether steps can be added to it."""
        return self.base is not None or msgspec.inspect.type_info(self.kind).__class__.__name__ in (
            "FloatType",
            "IntType",
        )


def bad_value(path: str, detail: str, value: Any, mend: str) -> BadValue:
    """The error of a value that does not go there."""
    return BadValue(Problem(BadValue.code, path, detail, value, mend))


def unknown_address(path: str, detail: str, mend: str) -> UnknownAddress:
    """The error of an address that there is not."""
    return UnknownAddress(Problem(UnknownAddress.code, path, detail, None, mend))
