"""The choices of a repair do what they say on real stores: parameters of a new index, its threads, its room; the queue."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.errors import UsageError
from forensics.readers.layout import Header
from forensics.repair.options import RepairOptions
from forensics.store import VectorSegment
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index

Repair = Callable[..., dict[str, Any]]


@pytest.fixture
def repair(tmp_path: Path) -> Repair:
    """A repair of a store without the engine, and its answer."""

    def do(store: Path, **choices: Any) -> dict[str, Any]:
        case = tmp_path / f"case-{store.name}"
        return fx.reconcile(
            store, case=case, engine=choices.pop("engine", "none"), nobody_else=True, **choices
        )

    return do


def slow(*samples: str) -> list[Any]:
    """Samples that only the long run takes."""
    return [pytest.param(sample, marks=pytest.mark.slow) for sample in samples]


def header_of(store: Path) -> Header:
    with fx.open_store(store) as opened:
        (collection,) = opened.collections
        assert isinstance(collection.vector, VectorSegment)
        header = collection.vector.files.header
        assert isinstance(header, Header)
        return header


def settings_of(store: Path) -> tuple[str, int, int]:
    with fx.open_store(store) as opened:
        settings = opened.collections[0].settings
        return settings.space, settings.M, settings.ef_construction


def digests(store: Path) -> dict[str, str]:
    files = sorted(path for path in store.rglob("*.*") if path.suffix in (".bin", ".pickle"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(
    "sample", [*slow("0.4.24/healthy", "1.0.20/healthy"), "0.6.3/healthy", "1.5.9/healthy"]
)
def test_a_new_index_has_the_parameters_that_were_asked_for(
    sample: str, tmp_path: Path, repair: Repair
) -> None:
    """They stand in header.bin and where that release keeps its settings; the space stays."""
    store = samples.restore(sample, tmp_path / "store")
    space, *_ = settings_of(store)
    answer = repair(store, rebuild="*", M=6, ef_construction=40)
    assert (answer["applied"], answer["verified"]) == (True, "checks")
    assert settings_of(store) == (space, 6, 40)
    assert (header_of(store).M, header_of(store).ef_construction) == (6, 40)
    assert fx.diagnose(store).codes(notes=False) == ()


@pytest.mark.slow
def test_the_engine_takes_the_new_parameters(tmp_path: Path, repair: Repair) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    answer = repair(store, rebuild="*", M=6, ef_construction=40, engine=None)
    assert answer["verified"] == "checks+engine"


def test_without_them_a_new_index_keeps_its_own(tmp_path: Path, repair: Repair) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    before, settings = header_of(store), settings_of(store)
    repair(store, rebuild="*")
    after = header_of(store)
    assert (after.M, after.ef_construction, settings_of(store)) == (
        before.M,
        before.ef_construction,
        settings,
    )


@pytest.mark.parametrize(
    ("sample", "choices"),
    [("1.5.9/set-aside", {}), ("1.5.9/healthy", {"rebuild": "*"})],
    ids=["added to", "built anew"],
)
def test_one_thread_gives_the_same_files_byte_for_byte(
    sample: str, choices: dict[str, Any], tmp_path: Path, repair: Repair
) -> None:
    made = []
    for name in ("first", "second"):
        store = samples.restore(sample, tmp_path / name)
        assert repair(store, threads=1, **choices)["applied"]
        made.append(digests(store))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("damage", "asked"),
    [
        ("header-removed", None),
        ("middle-lost", 1),
        ("directory-removed", 1000),
        pytest.param("header-removed", 1000, marks=pytest.mark.slow),
        pytest.param("middle-lost", None, marks=pytest.mark.slow),
        pytest.param("directory-removed", None, marks=pytest.mark.slow),
    ],
)
def test_the_index_has_room_for_its_records_and_more(
    damage: str, asked: int | None, tmp_path: Path, repair: Repair
) -> None:
    """By a new header, an addition and a new index: ten per cent more unless asked otherwise, never less than records."""
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    damage_menu()[damage](store)
    answer = repair(store, max_elements=asked, embedder="forensics.testing.embedder:embed")
    assert answer["applied"]
    room, held = header_of(store).max_elements, header_of(store).cur_element_count
    assert room >= max(300, held)
    assert room >= (1000 if asked == 1000 else 330 if asked is None else 300)


def test_single_calls_do_the_whole(tmp_path: Path) -> None:
    """The ids before, the smallest repair, the ids after, a new index with other parameters: each leaves its case."""
    store = samples.restore("1.5.9/set-aside", tmp_path / "store")
    assert any(not each.equal for each in fx.diff_ids(store).values())
    first = fx.reconcile(store, case=tmp_path / "first", engine="none", nobody_else=True)
    assert (first["verified"], first["remaining"]) == ("checks", [])
    (terms,) = fx.diagnose(store).collections
    assert [len(each.only_left) for each in fx.diff_ids(store).values()] == [terms.pending]
    second = fx.rebuild(
        store, case=tmp_path / "second", M=6, ef_construction=40, engine="none", nobody_else=True
    )
    assert (second["verified"], settings_of(store)[1:]) == ("checks", (6, 40))
    assert not any(each.only_left for each in fx.diff_ids(store).values())
    for case in ("first", "second"):
        assert {"diagnosis.json", "plan.json", "verdict.json", "result.json"} <= {
            path.name for path in (tmp_path / case).iterdir()
        }


# --- the queue ----------------------------------------------------------------------------------------------


def queue_of(store: Path) -> list[int]:
    with Index(store).sql() as database:
        return [row[0] for row in database.execute("SELECT seq_id FROM embeddings_queue ORDER BY seq_id")]


@pytest.mark.parametrize("sample", ["0.4.24/healthy", *slow("0.6.3/healthy", "1.5.9/healthy-upgraded")])
def test_rows_that_the_index_holds_leave_the_queue(sample: str, tmp_path: Path, repair: Repair) -> None:
    store = samples.restore(sample, tmp_path / "store")
    index, before = Index(store), queue_of(store)
    if not before[:-60]:
        damage_menu()["queue-kept"](store)
        before = queue_of(store)
    answer = repair(store, purge_queue=True)
    after = queue_of(store)
    assert answer["applied"]
    assert after == before[-len(after) :]
    assert 0 < len(after) < len(before)
    assert fx.diagnose(store).codes(notes=False) == ()
    with fx.open_store(store) as opened:
        mark = opened.collection("terms" if index else "").vector_watermark
    assert min(after) <= mark or mark == max(after)


def test_a_row_whose_vector_the_index_has_not_stays(tmp_path: Path, repair: Repair) -> None:
    """Two rows of the queue carry another vector than level 0: they stay, are told, and the others go."""
    store = samples.restore("0.4.24/healthy", tmp_path / "store")
    before = queue_of(store)
    with Index(store).sql() as database:
        for seq_id in before[10:12]:
            sql = "SELECT vector FROM embeddings_queue WHERE seq_id = ?"
            vector = np.frombuffer(database.execute(sql, (seq_id,)).fetchone()[0], dtype="<f4") + 1
            database.execute(
                "UPDATE embeddings_queue SET vector = ? WHERE seq_id = ?", (vector.tobytes(), seq_id)
            )
    answer = repair(store, purge_queue=True, decline="CF504")
    assert answer["applied"]
    assert set(queue_of(store)) >= set(before[10:12])
    assert len(queue_of(store)) < len(before) // 2
    (kept,) = (Path(answer["case"]) / "evidence").glob("queue-rows-kept*.csv")
    assert kept.read_text().count("the index has another vector") == 2


# --- what excludes each other -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"only": "CF501", "decline": "CF501"}, "--only and --except both name CF501"),
        ({"also_fix": "CF607", "decline": "CF607"}, "--also-fix and --except both name CF607"),
        ({"accept_loss": "CF408", "decline": "CF408"}, "--accept-loss and --except both name CF408"),
        ({"only": "CF501", "also_fix": "CF007"}, "--only CF501 leaves out CF007"),
        ({"rebuild": "*", "decline": "CF303"}, "--rebuild makes the whole index anew"),
        ({"ids": "delete", "decline": "CF701"}, "--ids delete is about malformed ids"),
        ({"set_aside_unsearchable": True, "decline": "CF501"}, "--set-aside-unsearchable is about"),
        ({"purge_queue": True, "decline": "CF201"}, "--purge-queue is about"),
        ({"M": 8}, "--M can only be given to a new index"),
        ({"M": 8, "ef_construction": 9}, "--M and --ef-construction can only be given to a new index"),
        ({"M": 1, "rebuild": "*"}, "M must be from 2 to 10,000"),
        ({"ef_construction": 0, "rebuild": "*"}, "must be at least 1"),
    ],
)
def test_choices_that_exclude_each_other_are_refused(choices: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("*", r"\*")) as refused:
        RepairOptions(**choices)
    assert str(refused.value).count(". ") == 0


def test_a_new_index_is_not_compacted_once_more(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy-churned", tmp_path / "store")
    kinds = [action.kind for action in fx.plan(store, rebuild="*", also_fix="CF607").approved]
    assert "rebuild-segment" in kinds
    assert "compact-segment" not in kinds
