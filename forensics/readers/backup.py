"""A consistent copy of a database that a client of this very process has open; made in a child (see `outside`).

To read it here would be no write, but the end of reading would be: the close of a second descriptor drops the locks
of the first.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

PATIENCE = 5.0
"""Seconds to wait for a writer to give its lock up."""


def backup(source: str, target: str) -> str | None:
    """`target` holds the database `source` as it was at one moment; else SQLite's words for why not."""
    address = f"file:{quote(source.encode('utf-8', 'surrogateescape'))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)) as live:
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the lock, within `PATIENCE`
            with closing(sqlite3.connect(target)) as copy:
                live.backup(copy)
    except sqlite3.Error as error:
        return str(error)
    return None
