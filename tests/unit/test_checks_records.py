"""The records themselves: ids as text, vectors, documents."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics.checks.id_text import alike, malformed, trimmed
from forensics.model import Finding
from forensics.readers import layout
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index
from forensics.testing.showing import diagnosed, named

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF7")


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_a_damage_is_named_and_nothing_else_is(damaged: Callable[..., Finding], name: str) -> None:
    finding = damaged(name)
    assert finding.count > 0
    assert finding.where
    assert finding.expected != finding.found


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("plain", ()),
        ("with inner blanks", ()),
        ("go:class:http://example.org/GO_1", ()),
        ("Ünïcödé", ()),
        ("日本語の識別子", ()),
        ("العربية", ()),
        ("می\u200cخواهم", ()),  # Persian needs the joiner
        ("👩\u200d💻", ()),
        ("inner\u00a0no-break", ()),
        ("", ("empty",)),
        (" lead", ("white space at an end",)),
        ("trail ", ("white space at an end",)),
        ("trail\u3000", ("white space at an end",)),
        ("tab\tinside", ("control character",)),
        ("nul\x00", ("control character",)),
        ("line\n", ("white space at an end", "control character")),
        ("zero\u200bwidth", ("zero-width character",)),
        ("latin\u200djoiner", ("zero-width character",)),
        ("\ufeffmark", ("zero-width character",)),
        ("bidi\u202e", ("zero-width character",)),
        ("half\udc80", ("control character",)),
    ],
)
def test_what_is_malformed(name: str, faults: tuple[str, ...]) -> None:
    assert malformed(["before", name, "after"]) == ({1: faults} if faults else {})


def test_no_ids_are_not_malformed() -> None:
    assert malformed([]) == {}
    assert malformed([""]) == {0: ("empty",)}
    assert malformed(["", ""]) == {0: ("empty",), 1: ("empty",)}


@pytest.mark.parametrize(
    ("name", "short"), [(" a b ", "a b"), ("a\u200bb\n", "ab"), ("می\u200cخ", "می\u200cخ")]
)
def test_trimming(name: str, short: str) -> None:
    assert trimmed(name) == short
    assert not malformed([trimmed(name)])


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["ab", "a b"], "white space"),
        (["caf\u00e9", "cafe\u0301"], "Unicode form"),
        (["ﬁle", "file"], "Unicode form"),
        (["GO:1", "go:1"], "case"),
        (["straße", "STRASSE"], "case"),
        (["a\tb", "ab"], "white space"),
    ],
)
def test_what_looks_alike(names: list[str], kind: str) -> None:
    assert alike(["other", *names, "more"]) == [(kind, names)]


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"], ["a", "a"], ["a\nb", "ab2"], ["x1", "X2"]])
def test_what_does_not_look_alike(names: list[str]) -> None:
    assert alike(names) == []


def test_padded_ids(damaged: Callable[..., Finding]) -> None:
    finding = damaged("ids-padded")
    assert finding.found["kinds"] == {"white space at an end": 2, "zero-width character": 1}
    assert finding.remedy.safety == "safe"
    assert len(finding.lists["ids"]) == len(finding.lists["rowids"]) == 3


def test_padded_ids_of_the_sample(sample: Sample) -> None:
    finding = named(diagnosed(sample("peek-failure")), "CF701")
    assert finding.count == 2
    assert all(name.endswith(" ") for name in finding.lists["ids"])


def test_an_id_that_becomes_another_when_trimmed_is_left_to_a_person(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    index = Index(store)
    first, second = index.some_ids(np.random.default_rng(1), 2)
    index.rename(second, first + " ")
    found = diagnosed(store)
    assert named(found, "CF701").remedy.safety == "manual"
    assert named(found, "CF702").found["differ_in"] == {"white space": 1}


def test_case_alone_is_a_note(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    index = Index(store)
    first, second = index.some_ids(np.random.default_rng(1), 2)
    index.rename(second, first.upper())
    assert named(diagnosed(store), "CF702").severity == "note"


def test_an_id_on_two_rows(damaged: Callable[..., Finding]) -> None:
    finding = damaged("id-doubled")
    assert (finding.count, finding.found["rows"]) == (1, 2)


def test_vectors_that_are_not_finite(damaged: Callable[..., Finding]) -> None:
    finding = damaged("vectors-not-finite")
    assert finding.lists["elements"] == [5, 6]
    assert finding.where[0].offset == 5 * 268


def test_vectors_of_pending_rows_are_looked_at(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with Index(store).sql() as database:
        zero, nan = np.zeros(32, dtype="<f4"), np.full(32, np.nan, dtype="<f4")
        for seq, vector in ((290, zero), (295, nan)):
            database.execute(
                "UPDATE embeddings_queue SET vector = ? WHERE seq_id = ?", (vector.tobytes(), seq)
            )
    found = diagnosed(store)
    assert named(found, "CF704").lists["seq_ids"] == [295]
    assert named(found, "CF705").lists["seq_ids"] == [290]


def test_zero_vectors_cost_something_under_cosine_alone(
    sample: Sample, damaged: Callable[..., Finding]
) -> None:
    assert damaged("vectors-zeroed").lists["elements"] == [7, 8]
    store = sample("1.2.1/healthy")
    damage_menu()["vectors-zeroed"](store)
    assert named(diagnosed(store), "CF705").severity == "note"


def test_vectors_that_are_too_long(damaged: Callable[..., Finding]) -> None:
    finding = damaged("vectors-stretched")
    assert finding.lists["elements"] == [9, 10, 11]
    assert finding.found["norms"] == [5.0, 5.0, 5.0]


def test_zero_vectors_that_only_deleted_elements_have_are_a_note(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["vectors-zeroed"](store)
    elements = named(diagnosed(store), "CF705").lists["elements"]
    with Index(store).level0() as level0:
        level0["flags"][elements] |= layout.DELETED_FLAG
    finding = named(diagnosed(store), "CF705")
    assert (finding.severity, finding.remedy.safety) == ("note", "manual")
    assert finding.lists["elements"] == elements


def test_records_without_a_document_are_a_note(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["documents-removed"](store)
    finding = named(diagnosed(store), "CF707")
    assert (finding.severity, finding.count, finding.lists["rowids"]) == ("note", 3, [3, 4, 5])
    assert finding.found["without_metadata_too"] == 0


def test_documents_that_only_the_full_text_index_has_are_lost_and_come_back(
    sample: Sample, tmp_path: Path
) -> None:
    store = sample("1.5.9/healthy")
    was = _documents(store)
    damage_menu()["document-rows-removed"](store)
    finding = named(diagnosed(store), "CF707")
    assert (finding.severity, finding.count) == ("error", 3)
    assert finding.found["in_the_full_text_index"] == finding.found["without_metadata_too"] == 3
    assert (finding.remedy.action, finding.remedy.safety) == ("restore-documents", "safe")
    fx.plan(store, case=tmp_path / "case", engine="none")
    fx.apply(tmp_path / "case", yes=True)
    assert _documents(store) == was
    assert "CF107" not in fx.diagnose(store, deep=True).codes()


def test_so_are_those_of_more_than_half_of_all_records(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy")
    was = _documents(store)
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        gone = database.execute(
            "DELETE FROM embedding_metadata WHERE id % 3 AND key = 'chroma:document'"
        ).rowcount
    finding = named(diagnosed(store), "CF707")
    assert (finding.severity, finding.count) == ("error", gone)
    fx.plan(store, case=tmp_path / "case", engine="none")
    fx.apply(tmp_path / "case", yes=True)
    assert _documents(store) == was


def _documents(store: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database:
        key = "key = 'chroma:document'"
        return database.execute(
            f"SELECT id, string_value FROM embedding_metadata WHERE {key} ORDER BY id"
        ).fetchall()


def test_a_text_that_0_4_may_have_left_to_another_record_is_for_a_person(sample: Sample) -> None:
    store = sample("0.4.24/healthy")
    damage_menu()["document-rows-removed"](store)
    finding = named(diagnosed(store), "CF707")
    assert finding.found["in_the_full_text_index"] == 3
    assert (finding.severity, finding.remedy.safety) == ("note", "manual")


def test_what_only_the_full_text_index_has_is_kept_when_it_is_built_anew(
    sample: Sample, tmp_path: Path
) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["document-rows-removed"](store)
    case = tmp_path / "case"
    found = fx.diagnose(store, deep=True, case=case)
    fx.plan(store, diagnosis=found, case=case, engine="none", decline=("CF707",))
    fx.apply(case, yes=True)
    (kept,) = (case / "evidence").glob("full-text-only-*.jsonl")
    assert [json.loads(line)["rowid"] for line in kept.read_text("utf-8").splitlines()] == [6, 7, 8]


def test_documents_that_are_no_text(damaged: Callable[..., Finding]) -> None:
    assert damaged("documents-not-text").lists["rowids"] == [8, 9]
