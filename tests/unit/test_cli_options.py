"""What may be said to every verb: which collection, which checks, which case, and how far to go."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics.errors import Refused, UsageError
from forensics.seal import compare, seal

Sample = Callable[[str], Path]
Say = Callable[..., Any]
THREE = "1.5.9/healthy-three-collections"
EMBEDDER = ("--embedder", "forensics.testing.embedder:embed")
NO_ENGINE = ("--engine", "none")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def segments(store: Path) -> dict[tuple[str, str], str]:
    """(collection name, scope) → segment id."""
    sql = "SELECT c.name, s.scope, s.id FROM segments s JOIN collections c ON c.id = s.collection"
    with closing(
        sqlite3.connect(f"file:{store / 'chroma.sqlite3'}?mode=ro&immutable=1", uri=True)
    ) as database:
        return {(name, scope): each for name, scope, each in database.execute(sql)}


def forget(store: Path, segment: str) -> None:
    """No row of `segments` names it any more."""
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM segments WHERE id = ?", (segment,))


# --- which collection ---


def test_a_collection_by_name_by_id_or_by_segment(sample: Sample, say: Say) -> None:
    store = sample(THREE)
    everything = say("diagnose", store, "--format", "json").data["collections"]
    assert len(everything) == 3
    one = everything[0]
    named = segments(store)
    for words in (
        ["--collection", one["name"]],
        ["--collection", one["id"]],
        ["--segment", named[one["name"], "VECTOR"]],
        ["--segment", named[one["name"], "METADATA"]],
        ["--collection", one["name"], "--segment", named[one["name"], "VECTOR"]],
    ):
        assert say("diagnose", store, *words, "--format", "json").data["collections"] == [one]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--collection", "nope"], "No collection is called 'nope'"),
        (["--segment", UNKNOWN], "No vector segment is called"),
        (["--segment", "../../etc"], "No vector segment is called"),
        (["--metadata-segment", UNKNOWN], "give --segment as well"),
    ],
)
@pytest.mark.parametrize("verb", ["diagnose", "plan", "repair"])
def test_what_is_not_in_the_store_is_said_and_nothing_is_made(
    verb: str, words: list[str], says: str, sample: Sample, say: Say
) -> None:
    said = say(verb, sample(THREE), *words)
    assert said.status == 16
    assert says in said.sentence
    assert list(Path.cwd().iterdir()) == []


def test_a_segment_of_another_collection_is_refused(sample: Sample, say: Say) -> None:
    store = sample(THREE)
    named = segments(store)
    first, second = sorted({name for name, _ in named})[:2]
    said = say("diagnose", store, "--collection", first, "--segment", named[second, "VECTOR"])
    assert (said.status, said.out) == (16, "")
    assert repr(second) in said.sentence


def test_a_segment_whose_sibling_is_not_found_is_read_with_the_one_that_is_named(
    sample: Sample, say: Say
) -> None:
    store = sample("1.5.9/healthy")
    named = segments(store)
    vector, metadata = named["terms", "VECTOR"], named["terms", "METADATA"]
    forget(store, metadata)
    alone = say("diagnose", store, "--segment", vector)
    assert alone.status == 16
    assert metadata in alone.sentence
    assert "--metadata-segment" in alone.sentence
    said = say("diagnose", store, "--segment", vector, "--metadata-segment", metadata, "--format", "json")
    assert [(one["records"], one["missing"]) for one in said.data["collections"]] == [(300, 0)]
    assert say("diagnose", store, "--segment", vector, "--metadata-segment", UNKNOWN).status == 16
    refused = say("plan", store, "--segment", vector, "--metadata-segment", metadata)
    assert refused.status == 8
    assert "mended first" in refused.sentence
    assert list(Path.cwd().iterdir()) == []


def test_a_directory_that_nothing_names_is_read_with_the_rows_that_are_named(
    sample: Sample, say: Say
) -> None:
    store = sample("1.5.9/healthy")
    named = segments(store)
    vector, metadata = named["terms", "VECTOR"], named["terms", "METADATA"]
    for each in (vector, metadata):
        forget(store, each)
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM collections")
    said = say("diagnose", store, "--segment", vector, "--metadata-segment", metadata, "--format", "json")
    (one,) = said.data["collections"]
    assert (one["name"], one["records"], one["indexed"]) == (f"segment {vector}", 300, 250)


def test_a_wrong_sibling_is_refused_where_sqlite_knows_the_right_one(sample: Sample, say: Say) -> None:
    store = sample(THREE)
    named = segments(store)
    first, second = sorted({name for name, _ in named})[:2]
    words = ["--segment", named[first, "VECTOR"], "--metadata-segment", named[second, "METADATA"]]
    said = say("diagnose", store, *words)
    assert said.status == 16
    assert "SQLite says so" in said.sentence


def test_a_plan_is_narrowed_too(sample: Sample, say: Say) -> None:
    said = say("plan", sample("peek-failure"), "--only", "CF701", "--format", "json")
    assert [action["codes"] for action in said.data["actions"]] == [["CF701"]]
    said = say("plan", sample("peek-failure"), "--except", "CF701,CF501", "--format", "json")
    assert said.data["actions"] == []
    assert said.status == 4


# --- which checks ---


def test_only_and_except_take_lists_and_may_be_repeated(sample: Sample, say: Say) -> None:
    store = sample("peek-failure")
    said = say("diagnose", store, "--only", "CF501,cf701", "--only", "CF301", "--format", "json").data
    assert {row["code"] for row in said["findings"]} == {"CF501", "CF701"}
    assert {row["code"] for row in said["checks"] if row["outcome"] != "not-asked"} == {
        "CF301",
        "CF501",
        "CF701",
    }
    said = say("diagnose", store, "--except", "CF501", "--format", "json").data
    assert {row["code"] for row in said["findings"]} == {"CF701"}


# --- which case ---


def test_a_diagnosis_writes_nothing_unless_a_case_is_named(sample: Sample, say: Say) -> None:
    store = sample("peek-failure")
    say("diagnose", store)
    say("diagnose", store, "--case", "case", "--dry-run")
    assert list(Path.cwd().iterdir()) == []
    said = say("diagnose", store, "--case", "case")
    assert {"case.json", "diagnosis.json", "manifest.json"} <= {path.name for path in Path("case").iterdir()}
    lists = list(Path("case/evidence").glob("CF501-*.csv"))
    assert lists
    assert "in the case: evidence/CF501-terms-ids.csv" in " ".join(said.out.split())
    assert "case       case" in said.out


def test_the_case_has_a_name_of_its_own_and_is_printed(sample: Sample, say: Say) -> None:
    store = sample("peek-failure")
    said = say("plan", store)
    (made,) = Path.cwd().iterdir()
    assert re.fullmatch(rf"forensics-case-{re.escape(store.name)}-\d{{8}}T\d{{6}}Z", made.name)
    assert f"case       {made}" in said.out
    assert f"forensics apply --case {made} --yes" in said.out
    assert made.stat().st_mode & 0o777 == 0o700
    assert say("plan", store, "--format", "json").data["case"] != str(made)


@pytest.mark.parametrize("verb", ["diagnose", "plan", "repair", "probe"])
def test_a_case_inside_the_store_is_refused(verb: str, sample: Sample, say: Say) -> None:
    store = sample("1.5.9/healthy")
    before = seal(store)
    said = say(verb, store, "--case", store / "case" / "deep")
    assert said.status == 16
    assert "lies in the store" in said.sentence
    assert compare(before, seal(store)) == ()


def test_the_default_case_is_refused_where_one_stands_in_the_store(
    sample: Sample, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sample("1.5.9/healthy")
    before = seal(store)
    monkeypatch.chdir(store)
    assert say("plan", ".").status == 16
    assert compare(before, seal(store)) == ()


def test_a_case_of_the_same_store_is_planned_again(sample: Sample, say: Say) -> None:
    store = sample("0.6.3/pickle-of-0.6")
    first = say("plan", store, "--case", "case", "--format", "json").data
    second = say("plan", store, "--case", "case", *EMBEDDER, "--format", "json").data
    assert first["remaining"] == ["CF501"]
    assert second["promised"] == ["CF501"]
    assert json.loads(Path("case/plan.json").read_text())["promised"] == ["CF501"]
    assert say("diagnose", store, "--case", "case").status == 4
    assert Path("case/plan.json").exists(), "the store is what it was: the plan still holds"


def test_a_plan_for_a_store_that_changed_since_is_gone(sample: Sample, say: Say) -> None:
    store = sample("peek-failure")
    say("plan", store, "--case", "case")
    (store / "note.txt").write_text("new")
    assert say("apply", "--case", "case", "--yes").status == 8
    say("diagnose", store, "--case", "case")
    said = say("apply", "--case", "case", "--yes")
    assert said.status == 16
    assert "plan.json" in said.sentence


def test_lists_of_findings_that_are_gone_do_not_stay_in_the_case(sample: Sample, say: Say) -> None:
    store = sample("peek-failure")
    say("diagnose", store, "--case", "case")
    own = Path("case/evidence/notes.csv")
    own.write_text("kept")
    say("diagnose", store, "--case", "case", "--only", "CF701")
    kept = {path.name for path in Path("case/evidence").iterdir()}
    assert not [name for name in kept if name.startswith("CF501")]
    assert own.name in kept


def test_the_case_of_another_store_is_refused(sample: Sample, say: Say) -> None:
    say("plan", sample("peek-failure"), "--case", "case")
    before = sorted((path, path.stat().st_mtime_ns) for path in Path("case").rglob("*"))
    for verb in ("diagnose", "plan", "repair", "probe"):
        said = say(verb, sample("1.5.9/healthy"), "--case", "case")
        assert said.status == 16
        assert "another store" in said.sentence
    assert sorted((path, path.stat().st_mtime_ns) for path in Path("case").rglob("*")) == before


def test_the_evidence_of_a_case_that_was_applied_is_not_overwritten(sample: Sample, say: Say) -> None:
    store = sample("0.6.3/pickle-of-0.6")
    assert say("repair", store, *EMBEDDER, *NO_ENGINE, "--yes", "--case", "case").status == 0
    kept = {
        name: Path("case", name).read_bytes() for name in ("diagnosis.json", "manifest.json", "plan.json")
    }
    for verb in ("diagnose", "plan", "repair"):
        said = say(verb, store, "--case", "case")
        assert said.status == 8
        assert "was applied" in said.sentence
    shown = say("apply", "--case", "case")
    assert "was applied before" in shown.out
    again = say("apply", "--case", "case", "--yes")
    assert again.status == 8
    assert {name: Path("case", name).read_bytes() for name in kept} == kept
    with pytest.raises(Refused, match="was applied"):
        fx.plan(store, case="case")


def test_a_case_that_somebody_works_on_is_left_alone(sample: Sample, say: Say) -> None:
    from forensics.case import Case

    store = sample("1.5.9/healthy")
    say("plan", store, "--case", "case")
    with Case.open(Path("case")).lock():
        said = say("plan", store, "--case", "case")
    assert said.status == 8
    assert "working on the case" in said.sentence


def test_a_probe_is_kept_in_the_case(sample: Sample, say: Say) -> None:
    """A healthy store, the quickest to ask: its own release answers every call with the truth."""
    pytest.importorskip("chromadb", reason="the probe asks Chroma")
    store = sample("1.5.9/healthy")
    said = say("probe", store, "--case", "case", "--format", "json")
    assert said.status == 0
    assert json.loads(Path("case/probe.json").read_text()) == said.data
    assert {call["verdict"] for one in said.data["collections"] for call in one["calls"]} == {"right"}
    assert fx.report("case").stat().st_size


# --- how far to go ---


def test_without_yes_and_in_a_dry_run_nothing_is_changed(sample: Sample, say: Say) -> None:
    store = sample("0.6.3/pickle-of-0.6")
    before = seal(store)
    say("plan", store, *EMBEDDER, "--case", "case")
    for words in (
        [],
        ["--dry-run", "--yes"],
        ["--resume"],
        ["--resume", "--dry-run", "--yes"],
        ["--to", "copy"],
    ):
        said = say("apply", "--case", "case", *words, *NO_ENGINE)
        assert said.status == 4, words
        assert "[x] 1. " in said.out
    assert not Path("copy").exists()
    assert compare(before, seal(store)) == ()


@pytest.mark.parametrize(
    "words",
    [
        ["copy", "STORE", "copy"],
        ["probe", "STORE"],
        ["lab", "STORE"],
        ["export", "--case", "case", "--to", "npz"],
        ["report", "--case", "case", "-o", "report.html"],
        ["verify", "--case", "case"],
    ],
)
def test_a_dry_run_of_the_other_verbs_says_what_would_be_done(
    words: list[str], sample: Sample, say: Say
) -> None:
    store = sample("1.5.9/healthy")
    say("plan", store, "--case", "case")
    before = sorted(Path("case").rglob("*"))
    said = say(*[str(store) if word == "STORE" else word for word in words], "--dry-run", "--format", "json")
    assert said.status == 0
    assert said.data["dry_run"] is True
    assert sorted(Path("case").rglob("*")) == before
    assert [path.name for path in Path.cwd().iterdir()] == ["case"]


@pytest.mark.parametrize("words", [["--collection", "terms"], ["--only", "CF501"], ["--except", "CF501"]])
@pytest.mark.parametrize("verb", [["apply", "--yes"], ["undo"], ["case", "release"]])
def test_a_case_is_carried_out_as_a_whole_or_not_at_all(verb: list[str], words: list[str], say: Say) -> None:
    said = say(*verb, "--case", "nowhere", *words)
    assert said.status == 16
    assert "narrow it" in said.sentence


def test_a_repaired_copy_can_be_written_beside(sample: Sample, say: Say) -> None:
    store = sample("0.6.3/pickle-of-0.6")
    before = seal(store)
    say("plan", store, *EMBEDDER, "--case", "case")
    said = say("apply", "--case", "case", "--yes", "--to", "copy", *NO_ENGINE, "--nobody-else-uses-it")
    assert said.status == 0
    assert compare(before, seal(store)) == ()
    assert say("diagnose", "copy").status == 0


# --- the embedder and the copies ---


def test_an_embedder_of_the_working_directory_is_found_and_what_it_prints_is_no_answer(
    sample: Sample, say: Say
) -> None:
    Path("my_own_embedder.py").write_text(
        "import os\nfrom forensics.testing.embedder import embed as inner\n"
        "def embed(texts):\n"
        "    print('loading the model')\n    os.write(1, b'and more of it\\n')\n    return inner(texts)\n"
    )
    said = say(
        "plan", sample("0.6.3/pickle-of-0.6"), "--embedder", "my_own_embedder:embed", "--format", "json"
    )
    assert said.data["promised"] == ["CF501"]
    assert "loading the model" in said.err
    assert "and more of it" in said.err


def test_an_embedder_that_does_not_reproduce_is_refused_in_a_sentence(sample: Sample, say: Say) -> None:
    Path("foreign_embedder.py").write_text(
        "import numpy as np\ndef embed(texts):\n    return np.random.default_rng(0).random((len(texts), 32))\n"
    )
    said = say("plan", sample("0.6.3/pickle-of-0.6"), "--embedder", "foreign_embedder:embed")
    assert said.status == 12  # damaged, and what the embedder would have to tell was not checked
    assert "Not planned: its vector exists nowhere; the embedder was refused" in said.err
    assert "does not reproduce" in said.err
    assert "lowest cosine" in said.err
    assert "Documents are embedded by" not in said.out


def test_another_copy_is_looked_into_by_a_diagnosis(sample: Sample, say: Say) -> None:
    store, other = sample("1.2.1/peek-failure"), sample("1.2.1/peek-failure-few")
    before = seal(other)

    def loses(*words: object) -> int:
        found = say("diagnose", store, "--format", "json", *words).data["findings"]
        return next(row["remedy"]["loses"] for row in found if row["code"] == "CF501")

    assert loses() == 279
    assert loses("--also", other) < 279
    assert compare(before, seal(other)) == ()


# --- the same program, and its manners ---


def test_it_is_one_program_whichever_way_it_is_started() -> None:
    for command in (
        ["-m", "forensics"],
        ["-c", "import sys; from forensics.cli import main; sys.exit(main())"],
    ):
        done = subprocess.run([sys.executable, "-P", *command, "--version"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"forensics {fx.__version__}\n")


def test_help_names_every_verb(say: Say) -> None:
    said = say("--help")
    assert (said.status, said.err) == (0, "")
    verbs = ("diagnose", "plan", "apply", "repair", "verify", "undo", "report", "case", "probe", "copy")
    assert all(f"\n    {verb} " in said.out for verb in (*verbs, "export", "explain", "lab"))
    assert "--except" in say("diagnose", "--help").out


def test_explain_lists_the_codes_and_knows_messages(say: Say) -> None:
    assert "CF501 ids-missing-from-index" in say("explain").out
    assert say("explain", "cf501").out.startswith("# CF501")
    assert "CF501" in say("explain", "Internal error: Error finding id", "--format", "json").data["text"]


def test_the_verbs_of_python_say_the_same(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with pytest.raises(UsageError, match="No collection is called"):
        fx.diagnose(store, collection="nope")
    with pytest.raises(UsageError, match="no finding with the code"):
        fx.diagnose(store, only=["CF999"])
    vector = segments(store)["terms", "VECTOR"]
    assert fx.diagnose(store, segment=vector).collections[0].name == "terms"


def test_an_option_that_says_nothing_to_a_verb_is_named(say: Say) -> None:
    said = say("explain", "CF501", "--collection", "terms", "--except", "CF301")
    assert said.status == 0
    assert "--collection says nothing to `forensics explain`" in said.err
    assert "--except says nothing" in said.err
    assert say("diagnose", "nowhere", "--collection", "terms").sentence.startswith("nowhere")
