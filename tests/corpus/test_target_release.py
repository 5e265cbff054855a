"""A store for an older client: what it does not know is gone, settings stand where it reads them, or a sentence says why
not.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.errors import UsageError
from forensics.readers.database import DATABASE
from forensics.testing.damage import damage_menu

SAMPLE, OLDER = "1.5.9/healthy", "1.0.20"


def fitted(tmp_path: Path, engine: str) -> tuple[Path, Path, str]:
    """Store and case of a healthy store of 1.5.9 made one of 1.0.20, and how far that was verified."""
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    plan = fx.plan(store, case=case, target_chromadb=OLDER, engine=engine)
    assert [action.kind for action in plan.approved] == ["fit-to-release"]
    return store, case, fx.apply(case, yes=True, nobody_else=True)["verified"]


def test_space_and_M_stand_where_the_older_release_reads_them(tmp_path: Path) -> None:
    with fx.open_store(samples.restore(SAMPLE, tmp_path / "as-it-was")) as before:
        settings = before.collections[0].settings
    store, case, verified = fitted(tmp_path, "none")
    assert verified == "checks"
    database = sqlite3.connect(store / DATABASE)
    (text,) = database.execute("SELECT config_json_str FROM collections").fetchone()
    columns = {row[1] for row in database.execute("PRAGMA table_info(collections)")}
    newest = dict(database.execute("SELECT dir, max(version) FROM migrations GROUP BY dir"))
    database.close()
    hnsw = json.loads(text)["vector_index"]["hnsw"]
    assert (hnsw["space"], hnsw["max_neighbors"]) == (settings.space, settings.M) == ("cosine", settings.M)
    assert "schema_str" not in columns
    assert newest == {"sysdb": 9, "metadb": 5, "embeddings_queue": 2}
    assert fx.plan(store, target_chromadb=OLDER, engine="none").approved == ()
    fx.undo(case)
    with fx.open_store(store) as again:
        assert again.collections[0].row.schema_str


@pytest.mark.oldchroma
def test_the_older_release_itself_opens_it(tmp_path: Path, release: Any) -> None:
    release(OLDER)
    assert fitted(tmp_path, OLDER)[2] == "checks+engine"


def test_what_it_cannot_express_is_refused_in_a_sentence(tmp_path: Path) -> None:
    store = samples.restore(SAMPLE, tmp_path / "store")
    with pytest.raises(UsageError, match=r"releases before 1\.0 keep sequence numbers"):
        fx.plan(store, target_chromadb="0.6.3")
    with pytest.raises(UsageError, match="is no release of chromadb"):
        fx.plan(store, target_chromadb="latest")
    database = sqlite3.connect(store / DATABASE)
    database.execute("INSERT INTO embedding_metadata_array (id, key, string_value) VALUES (1, 'tags', 'a')")
    database.commit()
    database.close()
    with pytest.raises(UsageError, match="1 value of metadata stand in lists"):
        fx.plan(store, target_chromadb=OLDER)


def test_a_lost_database_is_made_for_the_release_that_is_named(tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    damage_menu()["database-removed"](store)
    fx.plan(store, case=case, accept_loss=("CF001",), target_chromadb=OLDER, engine="none")
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert fx.diagnose(store).store["chroma"] == "1.0.0 – 1.2.2"
