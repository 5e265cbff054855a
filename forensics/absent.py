"""Why a value is missing. A reader returns one of these instead of raising or guessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Absent:
    """No value, and the reason in one sentence. Falsy."""

    reason: str

    def __bool__(self) -> bool:
        return False


class Unreadable(Absent):
    """The bytes exist but the system does not let us read them."""

    __slots__ = ()


class Unparsable(Absent):
    """The bytes were read and are not what they should be."""

    __slots__ = ()


class NotApplicable(Absent):
    """This version or this state of the store has no such thing."""

    __slots__ = ()


class NotAvailable(Absent):
    """It should be there and is not."""

    __slots__ = ()


def present(value: T | Absent) -> TypeGuard[T]:
    """True where `value` is a value, not a reason for its absence (an empty array is a value)."""
    return not isinstance(value, Absent)
