"""Writes that wait in the queue for a record whose label no element carries: they take effect, whatever they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.engine.truth import expected_of
from forensics.readers.embeddings_queue import ADD, DELETE, UPDATE, UPSERT
from forensics.testing.embedder import embed
from forensics.testing.index import Index

EMBEDDER = "forensics.testing.embedder:embed"
SAMPLE = "1.5.9/healthy"


def dangling(index: Index) -> str:
    """The id whose label no element carries any more."""
    with index.level0() as level0:
        label = int(level0["label"][10])
        level0["label"][10] = level0["label"][20]
    with index.id_map() as state:
        return state["label_to_id"][label]


def queue(index: Index, name: str, operation: int, vector: np.ndarray | None) -> None:
    """One more row of the queue, which SQLite has applied already."""
    cell, encoding = (None, None) if vector is None else (vector.astype("<f4").tobytes(), "FLOAT32")
    metadata = "{}" if operation == DELETE else '{"year": 2026}'
    with index.sql() as database:
        database.execute(
            "INSERT INTO embeddings_queue(seq_id, operation, topic, id, vector, encoding, metadata)"
            " SELECT max(seq_id) + 1, ?, topic, ?, ?, ?, ? FROM embeddings_queue",
            (operation, name, cell, encoding, metadata),
        )
        sql = "UPDATE max_seq_id SET seq_id = (SELECT max(seq_id) FROM embeddings_queue) WHERE segment_id = ?"
        database.execute(sql, (index.metadata_segment,))
    if operation == DELETE:
        index.forget([name])


def vector_of(store: Path, name: str) -> np.ndarray | None:
    with fx.open_store(store) as opened:
        shown = expected_of(opened)["terms"]
    row = shown.ids.index(name) if name in shown.ids else -1
    return None if row < 0 else shown.vectors[shown.rows.tolist().index(row)]


def unit(vector: np.ndarray | None) -> np.ndarray:
    assert vector is not None
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("embedder", [None, EMBEDDER])
@pytest.mark.parametrize(
    ("operation", "has_vector"), [(UPDATE, True), (UPSERT, True), (DELETE, False)], ids=lambda v: str(v)
)
def test_a_pending_write_of_a_dangling_record_takes_effect(
    operation: int, has_vector: bool, embedder: str | None, tmp_path: Path
) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    index, new = Index(store), embed(["something else altogether"])[0]
    name = dangling(index)
    queue(index, name, operation, new if has_vector else None)
    assert "CF408" in fx.diagnose(store).codes()
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    engine = None if operation == UPDATE else "none"
    result = fx.reconcile(store, case=case, embedder=embedder, nobody_else=True, engine=engine)
    assert result["verified"] == ("checks+engine" if engine is None else "checks")
    in_doubt = (
        [] if embedder else ["CF505"]
    )  # a label stands on two elements: nobody else can tell whose it is
    assert result["remaining"] == in_doubt
    assert result["records"]["after"] == (300 if has_vector else 299)
    found = vector_of(store, name)
    assert found is None if not has_vector else np.allclose(unit(found), unit(new), atol=1e-6)
    assert fx.plan(store, embedder=embedder).approved == ()
    fx.undo(case)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "deleted and added again"])
def test_a_delete_whose_flag_is_on_disk_and_whose_map_is_not(again: bool, tmp_path: Path) -> None:
    """As after a flush that was cut between level 0 and the id map: every open would delete what is deleted."""
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    index, new = Index(store), embed(["something else altogether"])[0]
    names = flagged(index, 1 if again else 3)
    for name in names:
        queue(index, name, DELETE, None)
    if again:
        queue_again(index, names[0], new)
    assert "CF207" in fx.diagnose(store).codes()
    made = fx.plan(store)
    assert any(a.kind == "mend-id-map" and "CF207" in a.codes for a in made.approved)
    engine = None if again else "none"
    result = fx.reconcile(store, case=case, nobody_else=True, engine=engine)
    assert result["verified"] == ("checks+engine" if again else "checks")
    assert result["remaining"] == []
    assert result["records"]["after"] == (300 if again else 297)
    if again:
        assert np.allclose(unit(vector_of(store, names[0])), unit(new), atol=1e-6)
    assert fx.plan(store).approved == ()


def flagged(index: Index, count: int) -> list[str]:
    """So many ids whose element is flagged deleted, though the map names it."""
    with index.id_map() as state:
        names = list(state["id_to_label"])[5 : 5 + count]
        labels = [state["id_to_label"][name] for name in names]
    with index.level0() as level0:
        level0["flags"][np.isin(level0["label"], labels)] |= 1
    return names


def queue_again(index: Index, name: str, vector: np.ndarray) -> None:
    """The record is there once more, by an add that waits in the queue."""
    queue(index, name, ADD, vector)
    with index.sql() as database:
        sql = (
            "INSERT INTO embeddings(segment_id, embedding_id, seq_id)"
            " SELECT ?, ?, max(seq_id) FROM embeddings_queue"
        )
        database.execute(sql, (index.metadata_segment, name))
