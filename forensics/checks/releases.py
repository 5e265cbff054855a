"""Which releases can have touched a store, by what they leave in it: causes must agree with it."""

from __future__ import annotations

from forensics.absent import Absent
from forensics.store import Store


def was_purged_by_python(store: Store) -> bool:
    """True where 0.5.6 to 0.6 made the configuration of the queue: only they purge in Python, and 0.5.7 to 0.5.12 wrongly.

    They write JSON with a blank after each colon, 1.x without. Before 0.5.6 nothing was purged.
    """
    if isinstance(store.database, Absent) or "embeddings_queue_config" not in store.database.tables:
        return False
    found = store.database.rows("SELECT config_json_str FROM embeddings_queue_config")
    cells = [] if isinstance(found, Absent) else [row[0] for row in found]
    return any(isinstance(cell, str) and '": ' in cell for cell in cells)
