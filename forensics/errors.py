"""The exception tree; every message is one sentence that an engineer can act on.

ForensicsError
├── UsageError          exit 16: what was asked for makes no sense (path, code, case, option)
│   └── NotAStore       the path holds no trace of a Chroma store
├── CannotComplete      exit 8: asked for sensibly, but it could not be finished; nothing was lost
│   ├── StoreInUse      somebody else has the store open
│   ├── StoreChanged    the evidence is not what it was when it was sealed
│   ├── NoSpace         the volume has less room than the work needs
│   ├── Refused         a precondition of a repair does not hold
│   └── MissingPackage  a package that this verb needs is not installed
└── ChildFailed         a child process died, timed out or raised; carries its message and signal
"""

from __future__ import annotations

EXIT_FOUND = 4
EXIT_INCOMPLETE = 8
EXIT_USAGE = 16


class ForensicsError(Exception):
    """Anything this package raises on purpose; `exit_status` is the bit that the command line returns."""

    exit_status = EXIT_INCOMPLETE


class UsageError(ForensicsError):
    """What was asked for makes no sense: a path, a code, a case or an option."""

    exit_status = EXIT_USAGE


class NotAStore(UsageError):
    """The path holds no trace of a Chroma store."""


class CannotComplete(ForensicsError):
    """Asked for sensibly, but it could not be finished; nothing was lost."""


class StoreInUse(CannotComplete):
    """Somebody else has the store open."""


class StoreChanged(CannotComplete):
    """The evidence is not what it was when it was sealed."""


class NoSpace(CannotComplete):
    """The volume has less room than the work needs."""


class Refused(CannotComplete):
    """A precondition of a repair does not hold."""


class OtherDimension(CannotComplete):
    """The vectors of an embedder have another length than those of the collection: it is that of another one."""


class MissingPackage(CannotComplete):
    """A package that this verb needs is not installed."""

    def __init__(self, package: str, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs the package {package}: pip install '{package}'")


class ChildFailed(ForensicsError):
    """A child process died, timed out or raised: `message` says how, `signal` is its number or None."""

    def __init__(self, message: str, signal: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.signal = signal
