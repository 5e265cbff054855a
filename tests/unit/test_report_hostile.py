"""Hostile stores cannot write into a report, and a report that is shared gives nothing away."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.case import Case
from forensics.report.html import write_report
from forensics.report.render import findings_html

CASE = Path(__file__).parent / "report_case"
HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{7*7}}\x1b[31m\u202e"
Sample = Callable[[str], Path]
See = Callable[[str], Any]


def written(case: Case, **options: Any) -> str:
    return write_report(case, **options).read_text("utf-8")


# --- hostile text


def strings_changed(value: Any, change: Callable[[str, str], str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: strings_changed(item, change, name) for name, item in value.items()}
    if isinstance(value, list):
        return [strings_changed(item, change, key) for item in value]
    return change(value, key) if isinstance(value, str) else value


WORDS_OF_THE_TOOL = frozenset(
    {
        "code",
        "codes",
        "severity",
        "confidence",
        "outcome",
        "safety",
        "approval",
        "kind",
        "verified",
        "verdict",
        "time",
        "event",
    }
    | {"findings", "promised", "remaining", "follows", "opened_as", "created", "status"}
)


def test_no_string_of_any_stage_becomes_markup(report_case: Case, see: See) -> None:
    """Every text in every file of the case, but the tool's own keywords, is hostile."""
    calm = see(written(report_case))
    for path in report_case.folder.glob("*.json"):
        value = json.loads(path.read_text("utf-8"))
        hostile = strings_changed(
            value, lambda text, key: text if key in WORDS_OF_THE_TOOL else text + HOSTILE
        )
        path.write_text(json.dumps(hostile), encoding="utf-8")
    html = written(Case.open(report_case.folder))
    page = see(html)

    assert set(page.tags) == set(calm.tags)
    assert {name for _, name, _ in page.attributes} == {name for _, name, _ in calm.attributes}
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "\\x1b[31m\\u202e" in page.text
    assert "{{7*7}}" in page.text


@pytest.fixture
def hostile_store(sample: Sample) -> Path:
    """The store of the sample with a collection, ids and metadata that attack whoever prints them."""
    store = sample("peek-failure")
    with sqlite3.connect(store / "chroma.sqlite3") as database:
        database.execute("UPDATE collections SET name = ?", (f"a{HOSTILE}",))
        database.execute("UPDATE embeddings SET embedding_id = embedding_id || ? WHERE id <= 5", (HOSTILE,))
        database.execute(
            "UPDATE embedding_metadata SET string_value = ? WHERE key = 'entity_type'", (HOSTILE,)
        )
        database.execute("UPDATE embedding_metadata SET key = ? WHERE key = 'obsolete'", (HOSTILE,))
    database.close()
    return store


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "redacted"])
def test_a_hostile_store_cannot_write_into_the_report(
    hostile_store: Path, tmp_path: Path, shown: bool, see: See
) -> None:
    folder = tmp_path / "hostile-case"
    found = fx.diagnose(hostile_store, case=folder)
    html = fx.report(folder, include_ids=shown, include_documents=shown).read_text("utf-8")
    page = see(html)

    assert "CF501" in found.codes()
    assert not page.strange
    assert "<script" not in html
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", html)
    assert "<script>alert(1)</script>" in page.text  # as text: the name of the collection
    assert findings_html(found).count("<script") == 0


# --- what is left out


def ids_of_the_case() -> Iterator[str]:
    for path in sorted((CASE / "evidence").glob("*-ids.csv")):
        yield from (line.strip('"') for line in path.read_text("utf-8").splitlines()[1:])


def test_no_id_and_no_value_of_metadata_stands_in_the_report(report_case: Case, see: See) -> None:
    text = see(written(report_case)).text
    leaked = [name for name in ids_of_the_case() if name in text]

    assert not leaked
    assert "'entity_type': 'class'" not in text
    assert "6 values (left out)" in text


def test_ids_stand_in_the_report_when_they_are_asked_for(report_case: Case, see: See) -> None:
    text = see(written(report_case, include_ids=True)).text

    assert any(name in text for name in ids_of_the_case())
    assert "6 values (left out)" in text


def test_values_of_metadata_stand_in_the_report_when_they_are_asked_for(report_case: Case, see: See) -> None:
    assert "values (left out)" not in see(written(report_case, include_documents=True)).text


def test_no_document_stands_in_the_report(report_case: Case, see: See) -> None:
    documents = samples.truth("1.2.1/peek-failure")["terms"].documents
    text = see(written(report_case, include_ids=True, include_documents=True)).text

    assert len(documents) == 300
    assert not [document for document in documents if document in text]
