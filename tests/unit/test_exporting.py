"""Exports: every record that can be recovered, its vector bit for bit, and where the vector was found."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.errors import MissingPackage, Refused, UsageError
from forensics.seal import compare, seal
from forensics.testing.damage_database import change

Sample = Callable[[str], Path]
EMBEDDER = "forensics.testing.embedder:embed"
ORIGINS: dict[str, dict[str, int]] = {
    "0.4.24/healthy": {"index": 300},
    "0.6.3/pickle-of-0.6": {"index": 260, "none": 40},
    "1.2.1/peek-failure": {"index": 21, "none": 279},
    "1.2.1/peek-failure-few": {"index": 275, "index, id proved": 5, "queue": 20},
    "1.5.9/healthy-churned": {"index": 250, "queue": 20},
    "1.5.9/healthy-three-collections": {"index": 250, "queue": 60},
    "1.5.9/pickle-truncated": {"index, id proved": 280, "queue": 20},
    "1.5.9/set-aside": {"index": 26, "queue": 15, "set-aside": 259},
    "1.5.9/sql-only-orphans": {"index": 250, "stray": 50},
}


def exported(case: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the export said, and its lines."""
    answer = fx.export(case)
    lines = Path(answer["file"]).read_text(encoding="utf-8").splitlines()
    return answer, [json.loads(line, parse_constant=pytest.fail) for line in lines]


@pytest.mark.parametrize("name", ORIGINS)
def test_every_record_with_the_origin_of_its_vector(name: str, sample: Sample, tmp_path: Path) -> None:
    store, case = sample(name), tmp_path / "case"
    before = seal(store)
    fx.diagnose(store, case=case)
    answer, rows = exported(case)
    assert compare(before, seal(store)) == ()
    found = Counter((row["source"] or "none").split(":")[0] for row in rows)
    assert dict(found) == ORIGINS[name]
    assert answer["records"] == len(rows) == sum(answer["origins"].values())
    assert answer["without_vector"] == ORIGINS[name].get("none", 0)
    assert answer["unreadable"] == {}
    truth = samples.truth(name)
    assert sorted((row["collection"], row["id"]) for row in rows) == sorted(
        (collection, each) for collection, believed in truth.items() for each in believed.ids
    )
    for row in rows:
        believed = truth[row["collection"]]
        at = believed.ids.index(row["id"])
        assert row["document"] == believed.documents[at]
        assert row["metadata"] == believed.metadatas[at]
        assert (row["vector"] is None) == (row["source"] is None) == (row["reason"] is not None)
        if row["vector"] is not None:
            atol = 1e-6 if believed.space == "cosine" else 0
            np.testing.assert_allclose(np.float32(row["vector"]), believed.vectors[at], rtol=0, atol=atol)


def test_an_embedder_of_the_plan_proves_ids_and_embeds_nothing(sample: Sample, tmp_path: Path) -> None:
    for name, origins in {
        "1.5.9/pickle-lost": {"index, id proved": 280, "queue": 20},
        "0.6.3/pickle-of-0.6": {"index": 260, "none": 40},
    }.items():
        store, case = sample(name), tmp_path / name.replace("/", "-")
        fx.plan(store, case=case, embedder=EMBEDDER)
        answer, rows = exported(case)
        assert answer["origins"] == origins
        reasons = {row["reason"] for row in rows if row["vector"] is None}
        assert all("embedded again" in reason for reason in reasons)


def test_what_the_queue_will_bring_is_newer_than_the_index(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        sql = "SELECT topic, id FROM embeddings_queue LIMIT 1"
        topic, _ = database.execute(sql).fetchone()
        (name,) = database.execute("SELECT embedding_id FROM embeddings ORDER BY id LIMIT 1").fetchone()
        database.execute(
            "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding) VALUES (1, ?, ?, ?, 'FLOAT32')",
            (topic, name, np.full(32, 0.25, np.float32).tobytes()),
        )
    fx.diagnose(store, case=tmp_path / "case")
    _, rows = exported(tmp_path / "case")
    (row,) = [row for row in rows if row["id"] == name]
    assert (row["source"], row["vector"]) == ("queue", [0.25] * 32)


def test_other_copies_of_the_plan_are_looked_into(sample: Sample, tmp_path: Path) -> None:
    store, other = sample("1.2.1/peek-failure"), sample("1.2.1/peek-failure-few")
    fx.plan(store, case=tmp_path / "case", also=[other])
    answer, rows = exported(tmp_path / "case")
    assert answer["without_vector"] < 279
    also = [row for row in rows if (row["source"] or "").startswith("also: ")]
    assert also
    truth = samples.truth("1.2.1/peek-failure")["terms"]
    for row in also:
        np.testing.assert_array_equal(np.float32(row["vector"]), truth.vectors[truth.ids.index(row["id"])])


def test_as_arrays(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.2.1/peek-failure-few")
    fx.diagnose(store, case=tmp_path / "case")
    answer = fx.export(tmp_path / "case", "npz", tmp_path / "out.npz")
    assert (answer["file"], answer["records"]) == (str(tmp_path / "out.npz"), 300)
    with np.load(tmp_path / "out.npz") as arrays:
        assert {len(arrays[name]) for name in arrays} == {300}
        assert arrays["vectors"].dtype == np.float32
        assert np.isfinite(arrays["vectors"]).all()
        assert Counter(arrays["source"].tolist())["index, id proved"] == 5
        assert json.loads(str(arrays["metadata"][0]))
        truth = samples.truth("1.2.1/peek-failure-few")["terms"]
        places = [truth.ids.index(str(each)) for each in arrays["id"]]
        np.testing.assert_array_equal(arrays["vectors"], truth.vectors[places])


def test_as_parquet(sample: Sample, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, which is not part of an installation")
    import pandas as pd

    fx.diagnose(sample("1.2.1/peek-failure"), case=tmp_path / "case")
    fx.export(tmp_path / "case", "parquet")
    frame = pd.read_parquet(tmp_path / "case" / "export.parquet")
    assert len(frame) == 300
    assert int(frame["vector"].isna().sum()) == 279
    assert frame["source"].dropna().unique().tolist() == ["index"]


def test_parquet_says_what_it_needs(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    fx.diagnose(sample("1.5.9/healthy"), case=tmp_path / "case")
    with pytest.raises(MissingPackage, match="pip install 'pyarrow'"):
        fx.export(tmp_path / "case", "parquet")
    assert not list((tmp_path / "case").glob("*export*"))


def test_one_collection(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy-three-collections")
    fx.diagnose(store, case=tmp_path / "case")
    name = next(one for one, truth in samples.truth("1.5.9/healthy-three-collections").items() if truth.ids)
    answer = fx.export(tmp_path / "case", "jsonl", collection=name)
    rows = [json.loads(line) for line in Path(answer["file"]).read_text().splitlines()]
    assert {row["collection"] for row in rows} == {name}


def test_nothing_is_overwritten_and_nothing_half_written_stays(sample: Sample, tmp_path: Path) -> None:
    store, case = sample("1.5.9/healthy"), tmp_path / "case"
    fx.diagnose(store, case=case)
    taken, dangling = tmp_path / "taken", tmp_path / "dangling"
    taken.write_text("mine")
    dangling.symlink_to(tmp_path / "nowhere")
    for target in (taken, dangling, case):
        with pytest.raises(Refused, match="never overwrites"):
            fx.export(case, "jsonl", target)
    assert taken.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(UsageError, match="not 'csv'"):
        fx.export(case, "csv")
    with pytest.raises(UsageError, match="lies in the store"):
        fx.export(case, "jsonl", store / "out")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_who_takes_the_name_meanwhile_keeps_it(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensics import exporting

    fx.diagnose(sample("1.5.9/healthy"), case=tmp_path / "case")
    target = tmp_path / "out.jsonl"
    real = exporting.records_of

    def slow(site: Any, lost: Any) -> Any:
        target.write_text("mine")
        yield from real(site, lost)

    monkeypatch.setattr(exporting, "records_of", slow)
    with pytest.raises(Refused, match="never overwrites"):
        fx.export(tmp_path / "case", "jsonl", target)
    assert target.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out.jsonl"]


def test_rows_that_cannot_be_read_are_named(sample: Sample, tmp_path: Path, say: Callable[..., Any]) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("ALTER TABLE embeddings RENAME TO elsewhere")
    say("diagnose", store, "--case", "case")
    said = say("export", "--case", "case", "--to", "jsonl", "--format", "json")
    assert said.status == 8
    assert list(said.data["unreadable"]) == ["terms"]
    assert "terms" in said.sentence


def test_values_that_json_does_not_have(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("INSERT INTO embedding_metadata (id, key, float_value) VALUES (1, 'far', 9e999)")
        rows = [(1, "tags", "a"), (1, "tags", "b")]
        database.executemany(
            "INSERT INTO embedding_metadata_array (id, key, string_value) VALUES (?, ?, ?)", rows
        )
        database.execute(
            "INSERT INTO embedding_metadata (id, key, string_value) VALUES (1, 'raw', CAST(x'ff41' AS TEXT))"
        )
    fx.diagnose(store, case=tmp_path / "case")
    _, lines = exported(tmp_path / "case")
    metadata = lines[0]["metadata"]
    assert metadata["far"] is None
    assert metadata["tags"] == ["a", "b"]
    assert metadata["raw"] == "\udcffA"


def test_vectors_under_ids_without_a_row(sample: Sample, tmp_path: Path) -> None:
    """The rows of 20 records are gone; their vectors are in the index."""
    store, case = sample("1.5.9/healthy"), tmp_path / "case"
    change(store, "DELETE FROM embeddings WHERE id <= 20", "DELETE FROM embedding_metadata WHERE id <= 20")
    fx.diagnose(store, case=case)
    answer, rows = exported(case)
    lone = [row for row in rows if row["state"] == "ghost"]
    assert (answer["records"], answer["ghosts"], len(lone), len(rows)) == (280, 20, 20, 300)
    truth = samples.truth("1.5.9/healthy")["terms"]
    for row in lone:
        believed = truth.vectors[truth.ids.index(row["id"])]
        np.testing.assert_allclose(np.float32(row["vector"]), believed, rtol=0, atol=1e-6)  # cosine
        assert row["document"] is None


def test_vectors_that_no_id_maps_to_come_on_request(sample: Sample, tmp_path: Path) -> None:
    store, case = sample("1.5.9/healthy"), tmp_path / "case"
    change(store, "DELETE FROM embeddings", "DELETE FROM embedding_metadata", "DELETE FROM embeddings_queue")
    next(store.glob("*/index_metadata.pickle")).unlink()
    fx.diagnose(store, case=case)
    assert fx.export(case, "npz", tmp_path / "without.npz")["anonymous"] == 0
    answer = fx.export(case, "npz", tmp_path / "with.npz", anonymous=True)
    assert (answer["records"], answer["anonymous"]) == (0, 250)
    with np.load(tmp_path / "with.npz") as found:
        assert set(found["state"]) == {"anonymous"}
        assert np.isfinite(found["vectors"]).all()


def zero_leaf(store: Path, name: str) -> None:
    """The first leaf of that table or index is all zeros."""
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        root = database.execute(query, (name,)).fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with open(store / "chroma.sqlite3", "r+b") as file:
        file.seek((root - 1) * size)
        page = file.read(size)
        assert page[0] in (2, 5)  # an interior page: it has leaves
        first = int.from_bytes(page[12:14], "big")
        leaf = int.from_bytes(page[first : first + 4], "big")
        file.seek((leaf - 1) * size)
        file.write(bytes(size))


def test_lost_pages_cost_their_own_rows_only(sample: Sample, say: Callable[..., Any]) -> None:
    """A leaf of table embeddings and one of its index are gone: the other rows are exported, and that is said."""
    store = sample("1.5.9/healthy")
    zero_leaf(store, "embeddings")
    zero_leaf(store, "sqlite_autoindex_embeddings_1")
    say("diagnose", store, "--case", "case")
    said = say("export", "--case", "case", "--format", "json")
    assert said.status == 8
    assert (said.data["unreadable"], list(said.data["incomplete"])) == ({}, ["terms"])
    assert 200 < said.data["records"] < 300
    assert 0 < said.data["ghosts"] <= 300 - said.data["records"]
    assert "not all rows can be read: terms" in said.sentence


def test_lost_pages_of_documents_are_counted(sample: Sample, say: Callable[..., Any]) -> None:
    store = sample("1.5.9/healthy")
    zero_leaf(store, "embedding_metadata")
    say("diagnose", store, "--case", "case")
    said = say("export", "--case", "case", "--format", "json")
    assert (said.status, said.data["records"]) == (8, 300)
    assert 0 < said.data["without_content"] < 150
    assert "cannot be read" in said.sentence
