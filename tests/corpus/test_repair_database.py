"""A database that SQLite cannot read is made anew: what exists comes back, what is lost is counted, undo works."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.readers.database import DATABASE
from forensics.readers.page_trees import walk
from forensics.readers.pages import PageFile
from forensics.testing.damage import damage_menu

SAMPLE = "1.5.9/healthy"


def rows(store: Path, table: str) -> set[tuple[Any, ...]]:
    """Every row of a table."""
    database = sqlite3.connect(f"file:{store / DATABASE}?mode=ro&immutable=1", uri=True)
    found = set(database.execute(f"SELECT * FROM {table}"))
    database.close()
    return found


def leaves(store: Path, table: str) -> list[int]:
    """The leaf pages of a table."""
    database = sqlite3.connect(f"file:{store / DATABASE}?mode=ro&immutable=1", uri=True)
    (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    database.close()
    with PageFile(store / DATABASE, 4096) as file:
        return walk(file, root).leaves


def garble(store: Path, pages: list[int], seed: int = 0) -> None:
    """Overwrites pages with noise."""
    noise = random.Random(seed)
    with (store / DATABASE).open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4096)
            file.write(noise.randbytes(4096))


def action(case: Path) -> dict[str, Any]:
    """What the plan says of the database."""
    return json.loads((case / "plan.json").read_text())["actions"][0]


def test_what_the_finding_says_can_be_done(tmp_path: Path, say: Any) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    damage_menu()["table-page-zeroed"](store)
    (found,) = [f for f in fx.diagnose(store).findings if f.code == "CF102"]
    assert found.remedy.action == "recover-database"
    assert "forensics export --case DIR" in found.means
    assert "forensics export --case DIR" in say("explain", "CF102").out
    planned = say("plan", store, "--case", case, "--format", "json")
    assert [row["kind"] for row in planned.data["actions"]] == ["recover-database"]
    say("export", "--case", case, "--to", "jsonl", "-o", tmp_path / "all.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    truth = {name for one in samples.truth(SAMPLE).values() for name in one.ids}
    assert lines
    assert {line["id"] for line in lines} <= truth


@pytest.mark.parametrize("name", ["header-torn", pytest.param("table-page-zeroed", marks=pytest.mark.slow)])
def test_everything_comes_back_and_goes_again(name: str, tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    before = {table: rows(store, table) for table in ("embeddings", "embedding_metadata", "embeddings_queue")}
    damage_menu()[name](store)
    damaged = (store / DATABASE).read_bytes()
    fx.plan(store, case=case, engine="none")
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert {table: rows(store, table) for table in before} == before
    assert fx.diagnose(store, deep=True).codes(notes=False) == ()
    fx.undo(case)
    assert (store / DATABASE).read_bytes() == damaged


@pytest.mark.parametrize("table", ["embedding_metadata", pytest.param("embeddings", marks=pytest.mark.slow)])
def test_rows_of_a_lost_leaf_come_from_the_indexes(table: str, tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    before = rows(store, table)
    pages = leaves(store, table)
    garble(store, [pages[len(pages) // 2]])
    plan = fx.plan(store, case=case, engine="none")
    told = action(case)["parameters"]["report"]["tables"][table]
    assert told["from_indexes"] > 0
    assert told["kept"] + told["from_indexes"] + told["lost"] == len(before)
    assert sum(loss["count"] for loss in plan.losses) == told["lost"]
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert len(before) - len(rows(store, table)) == told["lost"]
    kept = "".join(path.read_text() for path in (case / "evidence").glob("lost-rows*"))
    lost = [json.loads(line) for line in kept.splitlines()]
    assert len([row for row in lost if row["table"] == table]) == told["lost"]


@pytest.mark.slow
def test_pages_of_noise_anywhere_are_healed_as_foretold(tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    count = (store / DATABASE).stat().st_size // 4096
    pages = random.Random(7).sample(range(2, count + 1), 6)
    before = rows(store, "embeddings")
    garble(store, pages, seed=7)
    fx.plan(store, case=case, engine="none")
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert {row[:3] for row in rows(store, "embeddings")} == {row[:3] for row in before}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("database-removed", "CF001"),
        pytest.param("database-emptied", "CF003", marks=pytest.mark.slow),
        pytest.param("database-of-another-program", "CF003", marks=pytest.mark.slow),
    ],
)
def test_a_lost_database_is_made_of_the_directories(name: str, code: str, tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    damage_menu()[name](store)
    before = sorted(path.name for path in store.iterdir())
    plan = fx.plan(store, case=case, engine="none")
    assert (plan.approved, plan.remaining) == ((), (code,)), (
        "documents are lost: that is for a person to accept"
    )
    plan = fx.plan(store, case=case, accept_loss=(code,), engine="none")
    assert plan.losses[0]["count"] == 250
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    (found,) = fx.diagnose(store).collections
    assert (found.records, found.indexed, found.dimension, found.space) == (250, 250, 32, "cosine")
    fx.undo(case)
    assert sorted(path.name for path in store.iterdir()) == before


@pytest.mark.slow
def test_rows_of_the_catalogue_come_back_around_their_records(tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    tables = ("embeddings", "embedding_metadata", "embeddings_queue", "max_seq_id")
    before = {table: rows(store, table) for table in tables}
    damage_menu()["catalogue-rows-deleted"](store)
    assert fx.plan(store, case=case, engine="none").losses == ()
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert {table: rows(store, table) for table in tables} == before
    (found,) = fx.diagnose(store).collections
    assert (found.records, found.space) == (300, "cosine")


def test_another_copy_gives_names_and_documents(tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    copy = samples.restore(SAMPLE, tmp_path / "copy")
    damage_menu()["database-emptied"](store)
    plan = fx.plan(store, case=case, also=(copy,), engine="none")
    assert plan.losses == ()
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    (found,), (known,) = fx.diagnose(store).collections, fx.diagnose(copy).collections
    assert (found.name, found.id, found.records, found.space) == (known.name, known.id, 250, known.space)
    assert fx.diagnose(store, deep=True).codes(notes=False) == ()


GONE = (5, 6, 50, 51, 52, 90, 270, 280)
"""Rowids of records that the index holds, and of two that wait in the queue."""


@pytest.mark.parametrize(
    ("name", "proofs"),
    [
        ("1.5.9/healthy", {"the order of insertion": 6, "the queue has the same": 2}),
        pytest.param("0.4.24/healthy", {"the queue has the same": 8}, marks=pytest.mark.slow),
    ],
)
def test_records_without_their_row_are_put_together(
    name: str, proofs: dict[str, int], tmp_path: Path
) -> None:
    store, case = samples.restore(name, tmp_path / "store"), tmp_path / "case"
    before = {row[:3] for row in rows(store, "embeddings")}
    forget(store)
    plan = fx.plan(store, case=case, engine="none")
    assert [each.kind for each in plan.approved] == ["restore-records"]
    told = action(case)["parameters"]["report"]["restored"][0]["proofs"]
    assert {part: count for part in proofs for proof, count in told.items() if part in proof} == proofs
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert {row[:3] for row in rows(store, "embeddings")} == before


def test_what_nothing_proves_is_refused_and_listed(tmp_path: Path) -> None:
    store, case = samples.restore("1.5.9/healthy-churned", tmp_path / "store"), tmp_path / "case"
    forget(store, "DELETE FROM embeddings_queue WHERE seq_id < (SELECT max(seq_id) FROM embeddings_queue)")
    plan = fx.plan(store, case=case, engine="none")
    assert "restore-records" not in [each.kind for each in plan.actions], (
        "elements were deleted: order proves nothing"
    )
    assert "quarantine-ghosts" in [each.kind for each in plan.approved]


def forget(store: Path, *more: str) -> None:
    """Deletes rows of `embeddings` by hand, and nothing else of their records."""
    database = sqlite3.connect(store / DATABASE)
    database.execute(f"DELETE FROM embeddings WHERE id IN {GONE}")
    for statement in more:
        database.execute(statement)
    database.commit()
    database.close()
