"""Holds SQLite's exclusive lock on one database until stdin ends: `python -P -m forensics.repair.holder
PATH`.

The bytes are those that SQLite itself locks, taken without opening a connection: a connection would roll a
journal back, and that is a write. In a process of its own, because any close of the file in the same
process would drop the lock. When the repair dies, its end of the pipe closes and the lock is gone.
"""

from __future__ import annotations

import os
import sys

PENDING_BYTE = 0x40000000
RESERVED_BYTE = PENDING_BYTE + 1
SHARED_FIRST, SHARED_SIZE = PENDING_BYTE + 2, 510
LOCKED, BUSY = "locked", "busy"


def main(path: str) -> None:
    """Says `locked`, `busy` or an error in one line, and in the first case waits."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError as error:
        _say(error.strerror or str(error))
        return
    try:
        for start, size in ((RESERVED_BYTE, 1), (PENDING_BYTE, 1), (SHARED_FIRST, SHARED_SIZE)):
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, size, start)
    except BlockingIOError:
        _say(BUSY)
        return
    except OSError as error:
        _say(error.strerror or str(error))
        return
    _say(LOCKED)
    sys.stdin.read()


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
