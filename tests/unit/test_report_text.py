"""The terminal form: what a worried engineer reads first, and that nothing in it steers a terminal."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics.model import Cause, Diagnosis, Finding, Place, Remedy
from forensics.report.data import Reveal, lines, redacted, show
from forensics.report.plain import counted, lowered, raised, short, visible
from forensics.report.summary import code_ranges, headline
from forensics.report.text import (
    diagnosis_text,
    finding_text,
    plan_text,
    probe_text,
    result_text,
    verdict_text,
)

CASE = Path(__file__).parent / "report_case"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
CLOSED = "Do not open this store with Chroma before it is repaired"
Sample = Callable[[str], Path]


def stage(name: str) -> Any:
    return json.loads((CASE / f"{name}.json").read_text("utf-8"))


def a_finding(**changes: Any) -> Finding:
    plain = Finding(
        code="CF501",
        name="ids-missing-from-index",
        severity="error",
        confidence="certain",
        collection="notes",
        count=1204,
        unit="records",
        expected={"indexed_or_pending": 1_000_000},
        found={"missing": 1204, "examples": ["a1", "a7", "b0", "b1"]},
        where=(Place(file="chroma.sqlite3", rows="embeddings: 1204 rows"),),
        means="No search finds these records.",
        remedy=Remedy(action="add-missing-vectors", safety="safe"),
    )
    return dataclasses.replace(plain, **changes)


def a_diagnosis(**changes: Any) -> Diagnosis:
    plain = Diagnosis(
        tool={"name": "forensics"},
        store={"path": "/srv/store", "chroma": "1.5.0 or later", "safe_to_open": True, "unchanged": True},
        collections=(),
        findings=(),
        checks=(),
    )
    return dataclasses.replace(plain, **changes)


# --- what is said of real stores


def test_a_damaged_store_is_told_in_plain_words_first(sample: Sample) -> None:
    text = diagnosis_text(fx.diagnose(sample("peek-failure")))

    assert text.splitlines()[0] == 'Damaged: search cannot find 279 of the 300 records of "terms".'
    assert re.search(r"^terms +300 +21 +0 +279 +0 +0 +l2, 32 dimensions$", text, re.MULTILINE)
    assert re.search(
        r"^error +CF501 ids-missing-from-index +collection \"terms\" +certain$", text, re.MULTILINE
    )
    assert "279 records that are in SQLite but neither in the index nor pending" in text


def test_the_last_line_counts_findings_and_checks_and_says_that_nothing_changed(sample: Sample) -> None:
    last = diagnosis_text(fx.diagnose(sample("peek-failure"))).split("\n\n")[-1].replace("\n", " ")

    assert re.match(r"1 error, .*· \d+ of \d+ checks ran \(.*\) · nothing was changed$", last)


def test_the_first_words_forbid_to_open_a_store_that_opening_destroys(sample: Sample) -> None:
    found = fx.diagnose(sample("pickle-lost"))

    assert diagnosis_text(found).startswith(f"{CLOSED}: its id map is gone")


def test_a_healthy_store_is_called_healthy_with_the_count_of_checks(sample: Sample) -> None:
    text = diagnosis_text(fx.diagnose(sample("1.5.9/healthy")))

    assert re.match(r"No damage found: all \d+ checks ran\.\n", text)
    assert "error" not in text


def test_nothing_is_called_healthy_when_a_check_could_not_run(sample: Sample) -> None:
    found = fx.diagnose(sample("1.5.9/healthy"))
    checks = tuple(
        dataclasses.replace(check, outcome="skipped", reason="no header") if check.code == "CF601" else check
        for check in found.checks
    )
    partly = dataclasses.replace(found, findings=(), checks=checks)

    assert diagnosis_text(partly).startswith("No damage was found in what could be examined")
    assert "1 skipped: no header" in diagnosis_text(partly)


def test_a_crashed_check_or_a_store_in_use_is_not_called_damage() -> None:
    for code, severity in (("CF901", "error"), ("CF005", "error")):
        text = diagnosis_text(a_diagnosis(findings=(a_finding(code=code, severity=severity),)))

        assert text.startswith("No damage was found in what could be examined, but not everything could be: ")


def test_what_kills_the_engine_comes_before_what_search_misses(sample: Sample) -> None:
    found = fx.diagnose(sample("neighbour-out-of-range"))

    assert diagnosis_text(found).startswith('Damaged: in "terms" a link points past the last element')


def test_what_an_open_would_purge_is_counted_first(sample: Sample) -> None:
    text = diagnosis_text(fx.diagnose(sample("watermark-poisoned"))).replace("\n", " ")

    assert text.startswith(f"{CLOSED}: the next open would purge the only copy of 20 vectors (CF203")


def test_the_text_is_the_same_wherever_the_store_lies(sample: Sample, tmp_path: Path) -> None:
    first, second = sample("peek-failure"), sample("peek-failure")
    texts = [diagnosis_text(fx.diagnose(store)).replace(store.name, "STORE") for store in (first, second)]

    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]
    assert str(first) in diagnosis_text(fx.diagnose(first), path=True)


def test_a_finding_names_its_full_list_in_the_case() -> None:
    text = finding_text(stage("diagnosis")["findings"][0], case=CASE)

    told = " ".join(text.split())
    assert "in the case: evidence/CF501-terms-ids.csv" in told
    assert (CASE / "evidence" / "CF501-terms-ids.csv").is_file()


# --- the stages of a real repair


def test_the_plan_says_what_will_be_done_and_that_nothing_is_changed_yet() -> None:
    plan = stage("plan")
    text = plan_text(plan)

    assert "Nothing has been changed." in text.splitlines()[0]
    assert text.count("[x]") == sum(action["approved"] for action in plan["actions"])
    assert all(action["title"] in text for action in plan["actions"])
    assert "search will find 300 records (21 before): 279 re-embedded" in text


def test_the_verdict_lists_every_test() -> None:
    verdict = stage("verdict")
    text = verdict_text(verdict)

    assert text.startswith("Verified by the checks and by the engine: all ")
    assert text.count("\n  ok    ") == len(verdict["tests"])


def test_a_failed_test_makes_the_verdict_fail_and_a_skipped_one_is_not_called_passed() -> None:
    verdict = stage("verdict")
    verdict["tests"] = [
        {"name": "ids", "passed": False, "detail": "3 missing", "count": 3},
        {"name": "engine", "passed": True, "detail": "skipped: no chromadb", "count": None},
    ]
    text = verdict_text({**verdict, "verified": None})

    assert text.startswith("Not verified: 1 of 1 test failed.")
    assert text.count("  FAIL  ids (3): 3 missing") == 2
    assert text.endswith("What failed:\n  FAIL  ids (3): 3 missing")
    assert "  skip  engine: skipped: no chromadb" in text


def test_the_result_says_where_the_case_is() -> None:
    text = result_text(stage("result"))

    assert text.startswith("Repaired and verified by the checks and by the engine.\n")
    assert stage("result")["case"] in text


def test_a_plan_that_was_not_applied_is_not_called_a_repair() -> None:
    text = result_text({"schema": 1, "applied": False, "verified": None, "case": "my-case", "plan": {}})

    assert text == "Nothing was changed. To carry out the plan: forensics apply --case my-case --yes"


def test_the_probe_begins_with_its_advice_and_names_the_first_record_that_fails() -> None:
    probe = stage("probe")
    text = probe_text(probe)

    assert text.split("\n\n")[0].replace("\n", " ") == probe["advice"]
    assert re.search(r"^  error +peek\(\) +InternalError", text, re.MULTILINE)
    assert "the first record without a vector, at position 0" in text


@pytest.mark.parametrize("render", [diagnosis_text, plan_text, verdict_text], ids=lambda f: f.__name__)
def test_lines_fit_a_terminal(render: Callable[[Any], str]) -> None:
    name = {"diagnosis_text": "diagnosis", "plan_text": "plan", "verdict_text": "verdict"}[render.__name__]
    long = [line for line in render(stage(name)).splitlines() if len(line) > 100 and " " in line.strip()]

    assert not long


# --- hostile text

HOSTILE = "no\x1b[31mtes\u202eevil\r\n\x07\u200b\x9b2J"


def test_no_string_of_a_finding_steers_the_terminal() -> None:
    hostile = a_finding(
        collection=HOSTILE,
        expected=HOSTILE,
        found={HOSTILE: HOSTILE, "examples": [HOSTILE]},
        where=(Place(file=HOSTILE, rows=HOSTILE),),
        means=HOSTILE,
        causes=(Cause(name=HOSTILE, confidence="likely", evidence=HOSTILE),),
    )

    text = finding_text(hostile)

    assert not CONTROL.search(text)
    assert "\\x1b[31m" in text
    assert "\\u202e" in text


def test_no_name_of_a_collection_steers_the_terminal() -> None:
    found = a_diagnosis(
        store={"path": f"/srv/{HOSTILE}", "safe_to_open": True}, findings=(a_finding(collection=HOSTILE),)
    )

    assert not CONTROL.search(diagnosis_text(found, path=True))


def test_hidden_letters_are_shown_and_all_others_kept() -> None:
    assert visible("naïve Ω 漢字 🦀") == "naïve Ω 漢字 🦀"
    assert visible("a\u00a0b\u00adc\ud800") == "a\\xa0b\\xadc\\ud800"


def test_outer_spaces_of_an_id_are_shown() -> None:
    assert show(["a ", " b", "c"]) == '"a␣", "␣b", c'


# --- words


@pytest.mark.parametrize(
    ("count", "unit", "text"),
    [
        (1, "records", "1 record"),
        (2, "record", "2 records"),
        (1204, "entries", "1,204 entries"),
        (1, "entry", "1 entry"),
        (2, "check", "2 checks"),
    ],
)
def test_counts_agree_with_their_units(count: int, unit: str, text: str) -> None:
    assert counted(count, unit) == text


def test_names_of_files_keep_their_letters_at_the_start_of_a_sentence() -> None:
    assert raised("index_metadata.pickle is gone") == "index_metadata.pickle is gone"
    assert lowered("SQLite says so") == "SQLite says so"
    assert lowered("The pickle ends") == "the pickle ends"


def test_the_headline_of_one_file_does_not_count_it() -> None:
    assert (
        headline(a_finding(code="CF402", count=1, unit="id map").to_json())
        == "index_metadata.pickle has 0 bytes."
    )


def test_neighbouring_codes_are_joined() -> None:
    assert code_ranges(["CF404", "CF402", "CF403", "CF501", "CF502"]) == "CF402–CF404 CF501 CF502"


def test_breakdowns_are_read_as_groups() -> None:
    groups = {"separator": ":", "parts": 1, "groups": 3, "top": [{"name": "go", "count": 5, "of": 9}]}

    assert lines({"missing": 5, "by_prefix": groups}) == (
        ("", "missing 5"),
        ("by prefix", "go (5 of 9) and 2 more"),
    )


# --- what a shared view hides


def test_ids_are_shortened_but_can_be_told_by_whoever_has_them() -> None:
    hidden = redacted({"examples": ["alice@example.com"], "count": 3}, Reveal(ids=False))

    assert hidden == {"examples": [short("alice@example.com")], "count": 3}
    assert "example.com" not in short("alice@example.com")
    assert short("alice@example.com") != short("alice@example.org")


def test_lists_of_texts_are_hidden_unless_they_are_known_to_be_tame() -> None:
    data = {"strange": ["secret text"], "files": ["header.bin"], "follows": ["CF402"], "labels": [1, 2]}
    hidden = redacted(data, Reveal(ids=False))

    assert hidden["strange"] == [short("secret text")]
    assert {k: v for k, v in hidden.items() if k != "strange"} == {
        k: v for k, v in data.items() if k != "strange"
    }


def test_values_of_metadata_are_left_out() -> None:
    part = {"separator": None, "parts": 0, "groups": 2, "top": [{"name": "Jane Roe", "count": 4, "of": None}]}
    data = {"by_metadata": {"patient": part}}

    assert "Jane" not in str(redacted(data, Reveal(documents=False)))
    assert lines(redacted(data, Reveal(documents=False))) == (("by patient", "2 values (left out)"),)
    assert lines(data) == (("by patient", "Jane Roe (4) and 1 more"),)


# --- notebooks


def test_a_diagnosis_shows_itself_as_text_and_html(sample: Sample) -> None:
    found = fx.diagnose(sample("peek-failure"))
    bundle = found._repr_mimebundle_()

    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == diagnosis_text(found)
    assert "ids-missing-from-index" in bundle["text/html"]
    assert bundle == found._repr_mimebundle_()


def test_the_records_stay_slotted() -> None:
    assert not hasattr(a_finding(), "__dict__")
    assert not hasattr(a_diagnosis(), "__dict__")


def test_text_needs_no_jinja2_and_no_matplotlib() -> None:
    code = (
        "import sys, forensics.model, forensics.report.text;"
        "print('jinja2' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.split() == ["False", "False"]


def test_what_is_not_brought_back_is_told_with_its_reason(sample: Sample) -> None:
    """Without an embedder the vectors of peek-failure come from nowhere."""
    plan = fx.plan(sample("peek-failure"))
    text = " ".join(plan_text(plan).split())

    assert "279 records are not brought back." in text
    assert (
        'What this does not bring back: - 279 records of "terms", for each: its vector exists nowhere' in text
    )


def test_nothing_to_do_is_said_in_so_many_words(sample: Sample) -> None:
    assert plan_text(fx.plan(sample("1.5.9/healthy"))).startswith("Nothing to do.")
