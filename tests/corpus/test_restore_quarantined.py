"""restore-quarantined: each kind of line that a repair puts aside goes back, or is refused with the reason."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.engine.truth import expected_of
from forensics.errors import Refused, UsageError
from forensics.proof.standalone import run
from forensics.testing.damage import damage_menu

DAMAGED: dict[str, tuple[str, dict[str, Any], str]] = {
    "record": ("", {"set_aside_unsearchable": True}, "set-aside-*.jsonl"),
    "record with an odd id": ("ids-padded", {"ids": "delete"}, "set-aside-*-delete-ids.jsonl"),
    "ghost": ("rows-deleted", {"accept_loss": ("CF503",)}, "quarantined-*-quarantine-ghosts.jsonl"),
    "orphan rows": ("rows-orphaned", {}, "quarantined-*quarantine-orphan-rows.jsonl"),
}


def aside(folder: Path, kind: str) -> tuple[Path, Path]:
    """(the store without it, the JSON lines) of a sample in which a repair put something of that kind aside."""
    damage, options, pattern = DAMAGED[kind]
    name = "0.6.3/pickle-of-0.6" if kind == "record" else "1.5.9/healthy"
    store = samples.restore(name, folder / "store")
    if damage:
        damage_menu()[damage](store)
    fx.plan(store, case=folder / "case", engine="none", **options)
    fx.apply(folder / "case", yes=True, nobody_else=True)
    (file,) = (folder / "case" / "evidence").glob(pattern)
    return store, file


def rows_of(store: Path) -> dict[str, list[tuple[Any, ...]]]:
    connection = sqlite3.connect(store / "chroma.sqlite3")
    tables = ("embeddings", "embedding_metadata", "embedding_fulltext_search")
    found = {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}
    connection.close()
    return found


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_was_put_aside_goes_back_and_can_be_undone(kind: str, tmp_path: Path) -> None:
    store, file = aside(tmp_path, kind)
    before = rows_of(store)
    shutil.copytree(store, tmp_path / "old")
    shown = fx.restore_quarantined(file, case=tmp_path / "back", engine="none")
    assert not shown["applied"]
    assert rows_of(store) == before
    result = fx.restore_quarantined(file, case=tmp_path / "back", engine="none", yes=True, nobody_else=True)
    assert result["applied"], result
    proof = list(run(tmp_path / "back", tmp_path / "old", store, result["seal"]))
    assert [line for line in proof if not line[1]] == []
    if kind == "ghost":
        with fx.open_store(store) as opened:
            assert set(opened.collection("terms").records.ghosts) >= {_ids(file)[0]}
    else:
        assert len(rows_of(store)["embedding_metadata"]) > len(before["embedding_metadata"])
    assert fx.undo(tmp_path / "back")["as_before"]
    assert rows_of(store) == before


def _ids(file: Path) -> list[str]:
    return [json.loads(line)["id"] for line in file.read_text().splitlines() if '"kind"' in line]


def test_a_record_comes_back_with_its_vector_and_its_text(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    damage_menu()["ids-padded"](store)
    before = rows_of(store)
    fx.plan(store, case=tmp_path / "case", engine="none", ids="delete")
    fx.apply(tmp_path / "case", yes=True, nobody_else=True)
    (file,) = (tmp_path / "case" / "evidence").glob("set-aside-*-delete-ids.jsonl")
    fx.restore_quarantined(file, case=tmp_path / "back", engine="none", yes=True, nobody_else=True)
    assert rows_of(store) == before
    with fx.open_store(store) as opened:
        found = expected_of(opened)["terms"]
        known = {found.ids[row] for row, there in zip(found.rows.tolist(), found.known, strict=True) if there}
    assert set(_ids(file)) <= known


def test_what_no_longer_fits_is_refused_in_one_sentence(
    sample: Callable[[str], Path], tmp_path: Path
) -> None:
    store, file = aside(tmp_path, "record")
    fx.restore_quarantined(file, case=tmp_path / "back", engine="none", yes=True, nobody_else=True)
    with pytest.raises(Refused, match="has been given to another record since"):
        fx.restore_quarantined(file, case=tmp_path / "again")
    assert not (tmp_path / "again").exists()
    stray = tmp_path / "lines.jsonl"
    stray.write_text('{"kind": "record", "collection": "gone", "id": "a", "rows": {}}\n')
    with pytest.raises(UsageError, match="lies in no case"):
        fx.restore_quarantined(stray)
    with pytest.raises(Refused, match="'gone', of which these lines are, is gone"):
        fx.restore_quarantined(stray, store=store)
    for text in ("not JSON\n", '{"a": 1}\n', ""):
        stray.write_text(text)
        with pytest.raises(UsageError, match=r"holds no JSON lines|is no list of what a repair put aside"):
            fx.restore_quarantined(stray, store=store)


def test_the_terminal_shows_the_plan_and_then_does_it(say: Callable[..., Any], tmp_path: Path) -> None:
    store, file = aside(tmp_path, "record")
    shown = say("restore-quarantined", file, "--case", tmp_path / "back", "--engine", "none")
    assert shown.status == 0
    assert "Put 40 items of" in shown.out
    words = ("--engine", "none", "--yes", "--nobody-else-uses-it", "--format", "json")
    done = say("restore-quarantined", file, "--case", tmp_path / "back", *words)
    assert done.data["applied"]
    assert done.data["remaining"] == ["CF501"]
    assert len(rows_of(store)["embeddings"]) == 300


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"kind": "older vector, as stored", "id": "a", "element": 0, "vector": [0.0]}, "carries the newer vector"),
        ({"kind": "not finite", "element": 0, "label": 1, "bits": {"base64": "AAAA"}}, "searched by nobody"),
        ({"rowid": 999999, "text": "lost"}, "no record without a document has row 999999"),
        ({"kind": "element without an id", "collection": "terms", "id": "1", "element": 10**6}, "not in the index"),
        ({"table": "tenants", "row": {"id": "x"}}, "is not one that a repair puts aside"),
    ],
    ids=["older-vector", "not-finite", "text", "element", "table"],
)  # fmt: skip
def test_what_is_kept_as_evidence_alone_is_refused_with_the_reason(
    line: dict[str, Any], reason: str, sample: Callable[[str], Path], tmp_path: Path
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(Refused, match=reason):
        fx.restore_quarantined(file, store=sample("1.5.9/healthy"), case=tmp_path / "back")
