"""Whose vector is it? Proved, or refused with the reason; never guessed."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.errors import UsageError
from forensics.repair.embedding import Embedder
from forensics.repair.options import RepairOptions
from forensics.repair.site import Site
from forensics.repair.vector_index import VectorIndex
from forensics.store import Store
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index

EMBEDDER = Embedder.load("forensics.testing.embedder:embed")


def lost_map(name: str, tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """A healthy sample without its id map, and the map that it had."""
    store = samples.restore(name, tmp_path / "store")
    with fx.open_store(store) as opened:
        known = mapped(site_of(opened))
    index = Index(store)
    index.path("index_metadata.pickle").unlink()
    return store, known


def mapped(site: Site) -> dict[str, int]:
    """The map without ids that a pending delete has taken out of SQLite already."""
    rows = site.collection.rows
    return {name: label for name, label in site.mapping.items() if name in set(rows.ids)}


def site_of(store: Store, embedder: Embedder | None = None) -> Site:
    return Site(store.collections[0], RepairOptions(), embedder)


def pairs(site: Site) -> dict[str, int]:
    """id → label of what was proved."""
    assert site.proof is not None
    assert site.summary is not None
    return {name: int(site.summary.labels[element]) for name, element in site.proof.pairs().items()}


@pytest.mark.parametrize(
    "name", ["1.5.9/healthy", "1.2.1/healthy", "1.0.20/healthy", "1.5.9/healthy-churned", "0.6.3/healthy"]
)
def test_with_an_embedder_every_pair_is_the_true_one(name: str, tmp_path: Path) -> None:
    store, known = lost_map(name, tmp_path)
    with fx.open_store(store) as opened:
        site = site_of(opened, EMBEDDER)
        found, holdings = pairs(site), site.holdings
        assert holdings is not None
        assert found.keys() & known.keys()
        assert {name: label for name, label in found.items() if name in known}.items() <= known.items()
        elsewhere = set(holdings.named("source", "pending"))
        assert known.keys() <= found.keys() | elsewhere, (
            "an older vector than the queue's newest is not proved"
        )


def test_the_order_of_the_log_is_not_believed_where_elements_were_deleted(tmp_path: Path) -> None:
    store, _ = lost_map("1.5.9/healthy-churned", tmp_path)
    with fx.open_store(store) as opened:
        proof = site_of(opened).proof
    assert proof is not None
    assert "order" not in proof.counts()
    assert "elements were deleted" in proof.refused


def test_the_order_of_the_log_is_not_believed_before_1_0(tmp_path: Path) -> None:
    store, _ = lost_map("0.6.3/healthy", tmp_path)
    with fx.open_store(store) as opened:
        proof = site_of(opened).proof
    assert proof is not None
    assert "order" not in proof.counts()
    assert "no order" in proof.refused


def test_the_order_of_the_log_needs_confirmation(tmp_path: Path) -> None:
    store, _ = lost_map("1.5.9/healthy", tmp_path)
    with fx.open_store(store) as opened:
        proof = site_of(opened).proof
    assert proof is not None
    assert "only 1 of 8 records confirm" in proof.refused


def test_the_order_of_the_log_is_dropped_when_anything_contradicts_it(tmp_path: Path) -> None:
    store, _ = lost_map("1.5.9/healthy", tmp_path)
    with sqlite3.connect(store / "chroma.sqlite3") as database:  # two records change places in SQLite
        (first, one), (second, two) = database.execute(
            "SELECT id, embedding_id FROM embeddings ORDER BY id LIMIT 2"
        ).fetchall()
        database.execute("UPDATE embeddings SET embedding_id = 'x' WHERE id = ?", (first,))
        database.execute("UPDATE embeddings SET embedding_id = ? WHERE id = ?", (one, second))
        database.execute("UPDATE embeddings SET embedding_id = ? WHERE id = ?", (two, first))
    with fx.open_store(store) as opened:
        site = site_of(opened, EMBEDDER)
        proof, documents = site.proof, {one: second, two: first}
        assert proof is not None
        assert site.files is not None
        texts = dict(
            sqlite3.connect(store / "chroma.sqlite3").execute(
                "SELECT id, string_value FROM embedding_metadata WHERE key = 'chroma:document'"
            )
        )
        for name, rowid in documents.items():
            element = proof.pairs()[name]
            made = EMBEDDER([texts[rowid]], 32)[0]
            stored = site.files.vectors(np.array([element]))[0]
            assert np.allclose(made / np.linalg.norm(made), stored, atol=1e-6), (
                "the document decides, not the order"
            )


def test_a_set_aside_map_proves_by_the_bits_of_the_vector(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy-churned", tmp_path / "store")
    index = Index(store)
    with fx.open_store(store) as opened:
        known = mapped(site_of(opened))
    shutil.copytree(index.directory, store / f"{index.vector_segment}.bak-20240101")
    index.path("index_metadata.pickle").unlink()
    with fx.open_store(store) as opened:
        site = site_of(opened)
        assert site.proof is not None
        assert site.proof.counts()["other-map"] > 200
        assert known.items() <= pairs(site).items()


def test_records_with_identical_vectors_are_interchangeable(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    index = Index(store)
    with fx.open_store(store) as opened:
        site = site_of(opened)
        assert site.records is not None
        elements = site.records.elements[:2]
        twins = site.records.rows.ids[:2]
    with index.level0() as level0:
        level0["vector"][elements[1]] = level0["vector"][elements[0]]
    with sqlite3.connect(index.database) as database:
        text = database.execute(
            "SELECT string_value FROM embedding_metadata WHERE id = 1 AND key = 'chroma:document'"
        ).fetchone()[0]
        database.execute(
            "UPDATE embedding_metadata SET string_value = ? WHERE id = 2 AND key = 'chroma:document'", (text,)
        )
    index.path("index_metadata.pickle").unlink()
    with fx.open_store(store) as opened:
        proof = site_of(opened, EMBEDDER).proof
        assert proof is not None
        assert {proof.pairs()[name] for name in twins} == set(elements.tolist())


def test_the_index_of_vectors_finds_every_vector_and_no_other(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    with fx.open_store(store) as opened:
        files = site_of(opened).files
        assert files is not None
        members = np.arange(files.elements)
        index = VectorIndex(files, members, 0.0)
        for element in members[::17].tolist():
            vector = files.vectors(np.array([element]))[0]
            assert index.identical_to(vector).tolist() == [element]
            assert index.near(vector, 0.9999).tolist()[0] == element
            changed = vector.copy()
            changed[3] = np.nextafter(changed[3], np.float32(2))
            assert index.identical_to(changed).tolist() == []


# --- the user's own source, and the blocks of 0.6 -----------------------------------------------------------


def source_of(store: Path, path: Path) -> dict[str, np.ndarray]:
    """A file with the vector of every indexed record as the user gave it; the same as a dict."""
    with fx.open_store(store) as opened:
        site = site_of(opened)
        assert site.records is not None
        held = site.records.indexed
        raw = site.raw_vectors(site.records.elements[held])
        ids = site.records.ids(held)
    np.savez(path, ids=np.array(ids), vectors=raw)
    return dict(zip(ids, raw, strict=True))


def site_with(store: Store, *sources: Path) -> Site:
    return Site(store.collections[0], RepairOptions(source=tuple(map(str, sources))))


@pytest.mark.parametrize("name", ["0.4.24/healthy", "0.6.3/healthy", "1.0.20/healthy", "1.5.9/healthy"])
def test_the_users_source_proves_by_the_vector(name: str, tmp_path: Path) -> None:
    given = source_of(samples.restore(name, tmp_path / "whole"), tmp_path / "own.npz")
    store, known = lost_map(name, tmp_path)
    with fx.open_store(store) as opened:
        site = site_with(opened, tmp_path / "own.npz")
        found, proof = pairs(site), site.proof
    assert proof is not None
    assert found.items() <= known.items()
    assert given.keys() <= found.keys()
    assert proof.counts().get("source", 0) + proof.counts().get("queue", 0) == len(found)


def test_a_source_that_contradicts_what_is_known_proves_nothing(tmp_path: Path) -> None:
    """Its vectors are all there, each under the id of another record; the queue knows better of fifty."""
    given = source_of(samples.restore("1.5.9/healthy", tmp_path / "whole"), tmp_path / "own.npz")
    np.savez(
        tmp_path / "own.npz", ids=np.array(list(given)), vectors=np.roll(list(given.values()), 1, axis=0)
    )
    store, known = lost_map("1.5.9/healthy", tmp_path)
    with fx.open_store(store) as opened:
        site = site_with(opened, tmp_path / "own.npz")
        found, proof = pairs(site), site.proof
    assert proof is not None
    assert found.items() <= known.items()
    assert "source" not in proof.counts()
    assert "the source was refused" in proof.refused
    assert "lowest cosine" in proof.refused


def test_two_sources_that_disagree_are_refused(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    given = source_of(store, tmp_path / "one.npz")
    ids, raw = np.array(list(given)), np.array(list(given.values()))
    np.savez(tmp_path / "two.npz", ids=ids, vectors=raw + np.float32(1))
    damage_menu()["middle-lost"](store)
    with pytest.raises(UsageError, match="name one of the two") as refused:
        fx.plan(store, source=[tmp_path / "one.npz", tmp_path / "two.npz"])
    assert "for 40 of the records" in str(refused.value)


@pytest.mark.parametrize("same_block", [False, True])
def test_of_elements_that_are_alike_the_block_tells_which_is_meant(same_block: bool, tmp_path: Path) -> None:
    """0.6 gives labels batch by batch: of two elements near the document, only one has a label of its batch."""
    whole = samples.restore("0.6.3/healthy", tmp_path / "whole")
    with fx.open_store(whole) as opened:
        known, size = mapped(site_of(opened)), opened.collections[0].settings.batch_size
    store, known = lost_map("0.6.3/healthy", tmp_path)
    by_label = {label: name for name, label in known.items()}
    first, second = 2 * size + 1, 2 * size + 2 if same_block else 5 * size + 1
    alike(Index(store), first, second)
    with fx.open_store(store) as opened:
        site = site_of(opened, EMBEDDER)
        found, proof = pairs(site), site.proof
    assert proof is not None
    assert found.items() <= known.items()
    assert by_label[second] not in found
    how = dict(zip(proof.ids, proof.how.tolist(), strict=True))
    assert how[by_label[first]] == ("" if same_block else "re-embedding in its block")
    assert "document" in proof.refused or "element" in proof.refused


def alike(index: Index, first: int, second: int) -> None:
    """The element of the second label carries the vector of the first, but for its last digits."""
    with index.level0() as level0:
        labels = level0["label"]
        vector = level0["vector"][labels == first][0]
        level0["vector"][labels == second] = vector * np.float32(1.0001) + np.float32(1e-4)
