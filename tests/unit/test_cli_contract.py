"""The JSON and the exit status that others script against: exactly these keys, exactly these types, on every path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forensics import samples
from forensics.case import Case
from forensics.codes import catalogue
from forensics.model import SEVERITIES
from forensics.repair.undo import undo
from forensics.seal import compare, seal
from forensics.testing.damage import damage_menu

Sample = Callable[[str], Path]
Say = Callable[..., Any]
EMBEDDER = ("--embedder", "forensics.testing.embedder:embed")
NO_ENGINE = ("--engine", "none")

NUMBER = (int, type(None))
TEXT = (str, type(None))
ANY = object
FINDING = {
    "code": str,
    "name": str,
    "severity": set(SEVERITIES),
    "confidence": {"certain", "likely", "possible"},
    "collection": TEXT,
    "count": int,
    "unit": str,
    "expected": ANY,
    "found": ANY,
    "where": [{"file": str, "offset": NUMBER, "rows": TEXT}],
    "means": str,
    "follows": [str],
    "causes": [{"name": str, "confidence": {"certain", "likely", "possible"}, "evidence": str}],
    "remedy": {"action": str, "safety": {"safe", "lossy", "manual"}, "loses": int},
}
COUNTS = ("records", "indexed", "pending", "missing", "ghosts", "deleted")
DIAGNOSIS = {
    "schema": {1},
    "tool": dict,
    "store": dict,
    "collections": [
        {"name": str, "id": str, "dimension": NUMBER, "space": TEXT, **dict.fromkeys(COUNTS, NUMBER)}
    ],
    "findings": [FINDING],
    "checks": [{"code": str, "outcome": str, "reason": str}],
}
STORE = {"path": str, "chroma": str, "safe_to_open": bool | None}
OUTCOMES = {"clean", "found", "skipped", "partial", "crashed", "not-asked", "masked"}
RESULT = {
    "schema": {1},
    "applied": bool,
    "verified": {"checks", "checks+engine", None},
    "records": dict.fromkeys(("before", "after", "reattached", "reembedded", "lost"), NUMBER),
    "remaining": [str],
    "case": str,
    "report": TEXT,
}


def differs(value: Any, shape: Any, at: str = "", *, more: bool = False) -> list[str]:
    """Where `value` is not of that shape; with `more` an object may hold other keys too, at its top."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{at} is no object"]
        keys = [] if more else [f"{at}.{key} is unknown" for key in value.keys() - shape.keys()]
        keys += [f"{at}.{key} is missing" for key in shape.keys() - value.keys()]
        inner = (differs(value[key], shape[key], f"{at}.{key}") for key in shape.keys() & value.keys())
        return [*keys, *(text for texts in inner for text in texts)]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at} is no list"]
        return [text for i, item in enumerate(value) for text in differs(item, shape[0], f"{at}[{i}]")]
    if isinstance(shape, set):
        return [] if value in shape else [f"{at} is {value!r}"]
    wrong = not isinstance(value, shape) or (isinstance(value, bool) and shape in (int, NUMBER))
    return [f"{at} is {value!r}"] if wrong else []


def assert_diagnosis(data: Any) -> None:
    """All of DESIGN's diagnosis, and nothing else."""
    assert differs(data, DIAGNOSIS) == []
    assert differs(data["store"], STORE, more=True) == []
    assert {check["outcome"] for check in data["checks"]} <= OUTCOMES
    assert {check["code"] for check in data["checks"]} <= set(catalogue())
    assert len({check["code"] for check in data["checks"]}) == len(data["checks"])
    places = [(row["code"], row["collection"]) for row in data["findings"]]
    assert len(set(places)) == len(places), "at most one finding per code and collection"
    ranks = [(SEVERITIES.index(row["severity"]), row["code"]) for row in data["findings"]]
    assert ranks == sorted(ranks)


def test_the_shapes_would_notice_what_is_wrong() -> None:
    assert differs({"a": 1}, {"a": str}) == [".a is 1"]
    assert differs({"a": True}, {"a": int}) == [".a is True"]
    assert differs({"b": None}, {"a": NUMBER}) == [".b is unknown", ".a is missing"]
    assert differs([{"a": "x"}], [{"a": {"y"}}]) == ["[0].a is 'x'"]


@pytest.mark.parametrize("name", samples.names())
def test_a_diagnosis_has_these_types(name: str, sample: Sample, say: Say) -> None:
    said = say("diagnose", sample(name), "--format", "json")
    assert_diagnosis(said.data)
    above = any(row["severity"] != "note" for row in said.data["findings"])
    assert said.status == (4 if above else 0)
    assert said.err == ""


@pytest.mark.parametrize(
    "name", [one for one, entry in damage_menu().items() if {"CF704", "CF609", "CF705"} & set(entry.codes)]
)
def test_numbers_that_json_does_not_have_are_named(name: str, sample: Sample, say: Say) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()[name](store)
    said = say("diagnose", store, "--format", "json", "--case", "case")
    assert said.status == 4
    data = said.data
    assert data.pop("case") == "case"
    assert_diagnosis(data)


def test_a_store_that_cannot_be_read_at_all_still_gives_a_diagnosis(tmp_path: Path, say: Say) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "chroma.sqlite3").write_bytes(b"not a database" * 500)
    said = say("diagnose", store, "--format=json")
    assert said.status == 4
    assert_diagnosis(said.data)
    assert said.data["store"]["chroma"] == "unknown"


# --- repair and apply ---


@pytest.fixture
def repaired(sample: Sample, say: Say) -> tuple[Path, Any]:
    """A damaged sample, repaired; and what that said."""
    store = sample("0.6.3/pickle-of-0.6")
    return store, say("repair", store, "--yes", *EMBEDDER, *NO_ENGINE, "--format", "json", "--case", "case")


def test_a_repair_says_what_it_did(repaired: tuple[Path, Any]) -> None:
    store, said = repaired
    assert said.status == 0
    assert differs(said.data, RESULT, more=True) == []
    assert said.data["applied"] is True
    assert said.data["verified"] == "checks"
    assert said.data["remaining"] == []
    assert said.data["records"] == {"before": 260, "after": 300, "reattached": 0, "reembedded": 40, "lost": 0}
    assert Path(said.data["report"]).is_file()
    undo(Case.open(Path(said.data["case"])))
    assert samples.differences("0.6.3/pickle-of-0.6", store) == []


def test_a_repair_that_stops_at_the_plan_tells_the_records_as_they_are(sample: Sample, say: Say) -> None:
    store = sample("0.6.3/pickle-of-0.6")
    before = seal(store)
    for words in (["repair", store, *EMBEDDER], ["repair", store, *EMBEDDER, "--yes", "--dry-run"]):
        said = say(*words, "--format", "json")
        assert said.status == 4
        assert differs(said.data, RESULT, more=True) == []
        assert said.data["applied"] is False
        assert said.data["verified"] is None
        assert said.data["records"] == {
            "before": 260,
            "after": 260,
            "reattached": 0,
            "reembedded": 0,
            "lost": 0,
        }
        assert said.data["predicted"]["reembedded"] == 40
        assert said.data["remaining"] == ["CF501"]
    shown = say("apply", "--case", said.data["case"], "--format", "json")
    assert (shown.status, differs(shown.data, RESULT, more=True)) == (4, [])
    assert shown.data["remaining"] == ["CF501"]
    assert compare(before, seal(store)) == ()


@pytest.mark.parametrize("verb", ["repair", "apply"])
def test_on_a_healthy_store_there_is_nothing_to_do(verb: str, sample: Sample, say: Say) -> None:
    store = sample("1.5.9/healthy")
    before = seal(store)
    if verb == "apply":
        assert say("plan", store, "--case", "case").status == 0
    words = ["--case", "case"] if verb == "apply" else [store]
    said = say(verb, *words, "--yes", "--format", "json")
    assert said.status == 0
    assert differs(said.data, RESULT, more=True) == []
    assert (said.data["applied"], said.data["verified"], said.data["remaining"]) == (False, None, [])
    assert said.data["records"]["before"] == said.data["records"]["after"] == 300
    assert "nothing to do" in say(verb, *words, "--yes").out.lower()
    assert compare(before, seal(store)) == ()


def test_a_repair_that_leaves_something_says_what(sample: Sample, say: Say) -> None:
    said = say("repair", sample("1.2.1/peek-failure"), "--yes", *NO_ENGINE, "--format", "json")
    assert said.status == 4
    assert differs(said.data, RESULT, more=True) == []
    assert (said.data["applied"], said.data["remaining"]) == (True, ["CF501"])
    assert said.data["records"]["lost"] == 279


def test_what_is_left_keeps_its_status_when_verified_again(repaired: tuple[Path, Any], say: Say) -> None:
    said = say("verify", "--case", "case", *NO_ENGINE, "--format", "json")
    assert said.status == 0
    assert said.data["passed"] is True
    assert say("verify", "--case", "case", *NO_ENGINE).out.startswith("Verified")


def test_undo_and_release_say_how_the_store_stands(repaired: tuple[Path, Any], say: Say) -> None:
    store, _ = repaired
    said = say("undo", "--case", "case", "--format", "json")
    assert (said.status, said.data["state"], said.data["as_before"]) == (0, "original", True)
    assert samples.differences("0.6.3/pickle-of-0.6", store) == []
    assert "the repaired one again" in say("undo", "--case", "case").out
    assert say("case", "release", "--case", "case", "--dry-run").status == 0
    assert say("undo", "--case", "case", "--dry-run").status == 0
    assert "no undo" in say("case", "release", "--case", "case").out
    assert say("undo", "--case", "case").status == 8


def test_later_writes_are_named_and_not_discarded(repaired: tuple[Path, Any], say: Say) -> None:
    store, _ = repaired
    (store / "note.txt").write_text("later")
    said = say("undo", "--case", "case", "--format", "json")
    assert said.status == 8
    assert "note.txt" in said.data["error"]
    assert "--discard-later-writes" in said.sentence


# --- what is wrong is an object too ---


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["diagnose", "nowhere"], 16),
        (["diagnose"], 16),
        ([], 16),
        (["diagnose", "x", "--no-such-option"], 16),
        (["apply", "--case", "nowhere", "--yes"], 16),
        (["report"], 16),
        (["explain", "CF999"], 16),
        (["probe", "nowhere", "--chromadb", "1.5.9"], 16),
    ],
)
def test_an_error_is_one_object_and_one_sentence(words: list[str], status: int, say: Say) -> None:
    said = say(*words, "--format", "json")
    assert said.status == status
    assert differs(said.data, {"schema": {1}, "error": str, "exit": {status}}) == []
    assert said.sentence == said.data["error"]


def test_every_error_has_the_same_sentence_as_text(say: Say) -> None:
    text, data = say("diagnose", "nowhere"), say("diagnose", "nowhere", "--format", "json")
    assert text.out == ""
    assert text.sentence == data.data["error"]
