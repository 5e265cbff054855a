"""Every id in exactly one class, and the classes agree with what the samples are known to lack."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forensics as fx
from forensics import verbs
from forensics.classes import Classes, classify
from forensics.cli import main
from forensics.errors import UsageError

Sample = Callable[[str], Path]


@contextmanager
def classes_of(store: Path, **options: object) -> Generator[Classes]:
    with fx.open_store(store) as opened:
        yield classify(opened.collections[0], **options)  # pyright: ignore[reportArgumentType] - as the test gives them


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("peek-failure", {"indexed": 21, "vector lost, document present": 279}),
        ("set-aside", {"indexed": 26, "pending": 15, "re-attachable": 259}),
        ("sql-only-orphans", {"indexed": 250, "re-attachable": 50}),
        ("healthy-churned", {"indexed": 255, "pending": 15, "deleted": 5}),
        ("pickle-lost", {"pending": 21, "unknown": 279}),
    ],
)
def test_the_samples_have_their_classes(sample: Sample, name: str, counts: dict[str, int]) -> None:
    with classes_of(sample(name)) as found:
        assert found.counts() == counts
        assert len(found.ids) == len(set(found.ids)) == sum(counts.values())


def test_what_can_be_attached_again_says_from_where(sample: Sample) -> None:
    with classes_of(sample("set-aside")) as found:
        frame = found.frame()
        origins = frame.loc[frame["state"] == "re-attachable", "origin"]
        assert set(origins) == {"set-aside"}
        assert set(frame.loc[frame["state"] != "re-attachable", "origin"]) == {""}


def test_a_backup_makes_lost_vectors_attachable(sample: Sample) -> None:
    broken, backup = sample("sql-only-orphans"), sample("sql-only-orphans")
    (level0,) = broken.glob("*/data_level0.bin")
    with classes_of(broken) as whole:
        kept = whole.counts()["indexed"]
    level0.write_bytes(level0.read_bytes()[: 300 * 100])

    with classes_of(broken) as without, classes_of(broken, also=[backup]) as with_backup:
        assert without.counts().get("re-attachable", 0) < with_backup.counts()["re-attachable"]
        assert with_backup.counts()["indexed"] < kept


def test_prefixes_and_metadata_divide_all_of_them(sample: Sample) -> None:
    with classes_of(sample("peek-failure")) as found:
        for table in (found.by_prefix(), found.by_metadata("year"), found.by_prefix(pattern=r"^\w+:(\w+)")):
            assert sum(table["all"].tolist()) == 300
            assert sum(table["indexed"].tolist()) == 21
        assert "class" in found.by_prefix(pattern=r"^\w+:(\w+)").index
        assert list(found.by_metadata("no such key").index) == [""]


def test_ghosts_are_ids_whose_metadata_is_lost(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM embeddings WHERE id <= 7")

    with classes_of(store) as found:
        assert found.counts()["metadata lost"] == 7
        assert np.count_nonzero(found.rowids == -1) == 7


def test_a_parquet_file_holds_the_same(sample: Sample, tmp_path: Path) -> None:
    with classes_of(sample("set-aside")) as found:
        path = found.to_parquet(tmp_path / "classes.parquet")
        again = pd.read_parquet(path)
        assert again["id"].tolist() == found.ids
        assert again["state"].tolist() == found.frame()["state"].tolist()


def test_an_id_that_no_utf8_has_is_written_so_that_it_can_be_read(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("UPDATE embeddings SET embedding_id = CAST(x'61ff' AS TEXT) WHERE id = 1")

    with classes_of(store) as found:
        names = pd.read_parquet(found.to_parquet(tmp_path / "classes.parquet"))["id"].tolist()
    assert "a\\udcff" in names


def test_the_verb_takes_a_path_and_stays_usable(sample: Sample, tmp_path: Path) -> None:
    found = verbs.classify(
        sample("peek-failure"),
        by=["year"],
        id_pattern=r"^\w+:(\w+)",
        case=tmp_path / "case",
        out=tmp_path / "c",
    )
    told = found.to_json()

    assert told["states"] == {"indexed": 21, "vector lost, document present": 279}
    assert set(told["by"]) == {"prefix", "year"}
    assert told["by"]["prefix"]["largest"][0]["group"] == "class"
    assert [path.name for path in (tmp_path / "case" / "evidence").iterdir()] == ["classes-terms.parquet"]
    assert (tmp_path / "c").is_file()
    assert "300 ids of 'terms'" in repr(found)


def test_which_of_several_collections_must_be_said(sample: Sample) -> None:
    store = sample("healthy-three-collections")
    with pytest.raises(UsageError, match="which collection"):
        verbs.classify(store)
    with pytest.raises(UsageError, match="no regular expression"):
        verbs.classify(store, id_pattern="(")
    with fx.open_store(store) as opened:
        each = {one.name: len(verbs.classify(opened, collection=one.id)) for one in opened.collections}
    assert len(each) == 3


def test_the_command_line_classifies_each_collection(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(sample("healthy-three-collections"))

    assert main(["classify", store, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["collections"]
    assert {one["collection"]: one["ids"] for one in told}["notes"] == 140
    assert main(["classify", store, "-o", str(tmp_path / "c.parquet")]) == 16
    assert main(["classify", store, "--collection", "notes", "-o", str(tmp_path / "c.parquet")]) == 0
    assert "140 ids" in capsys.readouterr().out
    assert len(pd.read_parquet(tmp_path / "c.parquet")) == 140
