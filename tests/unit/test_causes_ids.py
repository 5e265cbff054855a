"""The causes of ids that differ: each on a real store that came to it in exactly that way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import forensics as fx
from forensics.checks.causes_ids import renaming
from forensics.model import Diagnosis
from forensics.testing.builder import StoreBuilder
from forensics.testing.damage_database import change
from forensics.testing.texts import fresh

Sample = Callable[[str], Path]


def causes(diagnosis: Diagnosis, code: str, collection: str = "terms") -> list[tuple[str, str]]:
    hits = [f for f in diagnosis.findings if (f.code, f.collection) == (code, collection)]
    return [(cause.name, cause.confidence) for finding in hits for cause in finding.causes]


def test_ids_that_were_changed_in_sqlite(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, "UPDATE embeddings SET embedding_id = 'corp/' || embedding_id")
    diagnosis = fx.diagnose(store)
    assert causes(diagnosis, "CF501") == [("ids-changed-in-sqlite", "certain")]
    assert causes(diagnosis, "CF503") == [("ids-changed-in-sqlite", "certain")]


def test_segments_that_were_changed_for_one_another(sample: Sample) -> None:
    store = sample("healthy-three-collections")
    with fx.open_store(store) as opened:
        names = {one.name: str(one.vector_segment_id) for one in opened.collections}
    one, other, spare = store / names["terms"], store / names["notes"], store / "spare"
    for source, target in ((one, spare), (other, one), (spare, other)):
        source.rename(target)
    diagnosis = fx.diagnose(store)
    for code in ("CF501", "CF503"):
        assert causes(diagnosis, code) == [("index-of-another-collection", "certain")]


def test_a_database_that_was_put_back(sample: Sample, tmp_path: Path) -> None:
    """100 records more are flushed; then the database of before comes back beside the index."""
    store, before = sample("1.5.9/healthy"), tmp_path / "before.sqlite3"
    shutil.copy(store / "chroma.sqlite3", before)
    with StoreBuilder(store) as builder:
        builder.model.create("terms", {})
        builder.add("terms", fresh(100), step=50)
    shutil.copy(before, store / "chroma.sqlite3")
    assert causes(fx.diagnose(store), "CF503") == [("database-older-than-index", "certain")]


def test_rows_that_were_deleted_from_embeddings_alone(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, "DELETE FROM embeddings WHERE id % 17 = 3")
    assert causes(fx.diagnose(store), "CF503") == [("rows-deleted-from-embeddings", "likely")]


def test_queue_rows_that_were_deleted(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, "DELETE FROM embeddings_queue")
    assert causes(fx.diagnose(store), "CF501") == [("queue-rows-deleted", "likely")]


def test_rules_of_renaming() -> None:
    index = frozenset(f"Note-{number}" for number in range(30))
    assert renaming([f"a/{name}" for name in index], index) is not None
    assert renaming([f"{name}.md" for name in index], index) is not None
    assert renaming([name.removeprefix("Note-") for name in index], index) is not None
    assert renaming([name.lower() for name in index], index) is not None
    assert renaming([f"other-{number}" for number in range(30)], index) is None
    assert renaming([], index) is None
