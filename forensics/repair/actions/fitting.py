"""The draft's database as an older client knows it."""

from __future__ import annotations

from collections.abc import Callable

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.repair.actions.work import Work
from forensics.repair.target_release import ARRAYS, beyond, configuration, problems

Report = dict[str, Json]


def fit_to_release(work: Work) -> Report:
    """No migration, column or table is left that the release lacks, and each collection's settings stand where it reads
    them. What was there is in the case.
    """
    database, version = work.store.database, str(work.action.parameters["release"])
    if isinstance(database, Absent):
        raise Refused(database.reason)
    extra = beyond(database, version)
    problem = next(problems(work.store, version, extra), None)
    if problem is not None:
        raise Refused(f"This store cannot be made one of chromadb {version}: {problem}.")
    schemas = [(c.id, c.row.config_json_str, c.row.schema_str) for c in work.store.collections]
    work.keep_rows("configurations-before", ("id", "config_json_str", "schema_str"), schemas)
    with work.database() as connection:
        if ("sysdb", 10) in extra:
            for collection in work.store.collections:
                if collection.row.schema_str is not None:
                    row = (configuration(collection), collection.id)
                    connection.execute("UPDATE collections SET config_json_str = ? WHERE id = ?", row)
            connection.execute("ALTER TABLE collections DROP COLUMN schema_str")
        if ("metadb", 6) in extra:
            connection.execute(f"DROP TABLE IF EXISTS {ARRAYS}")
        connection.executemany("DELETE FROM migrations WHERE dir = ? AND version = ?", extra)
    return {"migrations": [list(key) for key in extra], "collections": len(schemas)}


FITTING: dict[str, Callable[[Work], Report]] = {"fit-to-release": fit_to_release}
