"""The incident report: self-contained, escaped, redacted, readable; golden on a case of a real repair."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics.case import Case
from forensics.errors import UsageError
from forensics.report.html import report_hash, write_report
from forensics.report.render import findings_html, plan_html, style, verdict_html
from forensics.testing.damage import damage_menu

HERE = Path(__file__).parent
CASE = HERE / "report_case"
GOLDEN = HERE / "report_case" / "report.golden.html"
SECTIONS = (
    "Verdict", "Case", "Impact", "Evidence and custody", "Method and coverage", "Findings", "Timeline",
    "Cause", "Repair", "Verification", "Lessons", "Actions", "Limits", "Appendix",
)  # fmt: skip
Sample = Callable[[str], Path]
See = Callable[[str], Any]


def written(case: Case, **options: Any) -> str:
    return write_report(case, **options).read_text("utf-8")


def drop(case: Case, *names: str) -> None:
    for name in names:
        case.path(name).unlink()


# --- the whole file


def test_the_report_is_what_it_was(report_case: Case) -> None:
    """Golden. FORENSICS_UPDATE_GOLDEN=1 writes it anew; look at the difference before it is committed."""
    found = written(report_case).replace(str(report_case.folder), "/srv/case")
    digest = report_hash(written(report_case))
    found = found.replace(digest, "REPORT-HASH")
    if os.environ.get("FORENSICS_UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")

    assert found == GOLDEN.read_text("utf-8")


def test_the_same_case_at_the_same_time_gives_the_same_bytes(report_case: Case) -> None:
    assert written(report_case) == written(report_case)


def test_the_sections_stand_in_reading_order(report_case: Case) -> None:
    html = written(report_case)

    assert re.findall(r'<h2 id="\w+"><span class="n">\d+</span>([^<]+)</h2>', html) == list(SECTIONS)


def test_nothing_in_the_file_leads_out_of_it(report_case: Case, see: See) -> None:
    html = written(report_case)
    page = see(html)

    assert not page.strange
    assert not page.values("src")
    assert all(re.fullmatch(r"#[\w-]+|evidence/[\w.-]+|[\w-]+\.jsonl?", link) for link in page.values("href"))
    assert set(re.findall(r"url\([^)]*\)", html)) <= {"url(#hatch)"}
    assert "@import" not in html
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_every_link_within_the_file_has_its_target(report_case: Case, see: See) -> None:
    page = see(written(report_case))
    ids = page.values("id")
    targets = {link[1:] for link in page.values("href") if link.startswith("#")}

    assert targets <= set(ids)
    assert len(ids) == len(set(ids))


def test_every_linked_file_of_the_case_exists(report_case: Case, see: See) -> None:
    links = [link for link in see(written(report_case)).values("href") if not link.startswith("#")]

    assert links
    assert all((report_case.folder / link).is_file() for link in links)


def test_the_policy_forbids_scripts_and_requests(report_case: Case) -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in written(report_case)


def test_the_hash_is_printed_and_logged(report_case: Case) -> None:
    html = written(report_case)
    digest = report_hash(html)

    assert f"<code>{digest}</code>" in html
    assert report_case.events()[-1] | {"time": ""} == {
        "time": "", "event": "reported", "file": str(report_case.folder / "report.html"), "sha256": digest,
    }  # fmt: skip


def test_a_changed_body_no_longer_fits_the_hash(report_case: Case) -> None:
    html = written(report_case)

    assert report_hash(html.replace("300", "301")) not in html


def test_a_report_elsewhere_links_to_no_file(report_case: Case, tmp_path: Path, see: See) -> None:
    target = tmp_path / "elsewhere.html"

    assert write_report(report_case, target) == target
    assert all(link.startswith("#") for link in see(target.read_text("utf-8")).values("href"))


def test_a_folder_is_refused_in_one_sentence(report_case: Case, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write_report(report_case, tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(report_case, tmp_path / "no" / "such" / "report.html")


# --- what it says


def test_a_repair_is_told_with_before_and_after(report_case: Case, see: See) -> None:
    text = see(written(report_case)).text

    assert "Repaired and verified by the checks and by the engine." in text
    assert "21 → 300 records that search finds" in text
    assert "279 re-embedded" in text
    assert f"forensics undo --case {report_case.folder}" in text


def test_the_cause_rules_on_every_hypothesis(report_case: Case, see: See) -> None:
    text = see(written(report_case)).text
    cause = text[text.index("Why peek() can fail") : text.index("How it came to that")]

    assert re.search(r"The id maps were not rebuilt .*?✕ refuted", cause)
    assert re.search(r"peek\(\) uses another code path .*?✕ refuted", cause)
    assert re.search(r"The segments are out of step .*?● confirmed", cause)


def test_times_are_told_as_observed_or_inferred(report_case: Case) -> None:
    rows = re.findall(
        r'<td class="time">(.*?)</td><td>(.*?)</td><td>(.*?)</td>\n<td>(.*?)</td>', written(report_case)
    )
    kinds = {re.sub("<.*?>", "", row[3]) for row in rows}

    assert kinds == {"observed", "inferred"}
    assert any("seq_id 1 … 279" in row[0] for row in rows)


def test_custody_shows_both_seals(report_case: Case) -> None:
    html = written(report_case)
    sealed = json.loads((CASE / "manifest.json").read_text())["entries"]
    after = json.loads((CASE / "manifest-after.json").read_text())["entries"]

    assert all(entry["sha256"] in html for entry in [*sealed, *after] if entry["kind"] == "file")


def test_a_report_after_the_diagnosis_alone_promises_nothing(report_case: Case, see: See) -> None:
    later = (
        "plan.json",
        "verdict.json",
        "diagnosis-after.json",
        "manifest-after.json",
        "result.json",
        "probe.json",
    )
    drop(report_case, *later, "log.jsonl", "journal.jsonl")
    text = see(written(report_case)).text

    assert 'Search cannot find 279 of the 300 records of "terms".' in text
    assert "No repair has been planned in this case." in text
    assert "Nothing has been repaired, so nothing was verified." in text
    assert "? not decidable" in text


def test_a_plan_is_shown_as_a_plan(report_case: Case, see: See) -> None:
    drop(
        report_case,
        "verdict.json",
        "diagnosis-after.json",
        "manifest-after.json",
        "result.json",
        "log.jsonl",
        "journal.jsonl",
    )
    text = see(written(report_case)).text

    assert "will be done" in text
    assert "What search finds, before and after, as planned." in text
    assert "Nothing of this has been carried out." in text
    assert "Repaired" not in text


def test_the_impact_tells_what_the_numbers_do_not(sample: Any, tmp_path: Path, see: See) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["link-lists-removed"](store)
    fx.diagnose(store, case=tmp_path / "case")
    page = see(written(Case.open(tmp_path / "case"))).text
    assert "By its ids, each of its 300 records should be found; what stands in the way:" in page
    assert "Without link_lists.bin the engine cannot load the index: every call fails. (CF302, 1 " in page
    assert "Search can find each" not in page


def test_an_empty_case_is_reported_as_empty(report_case: Case, see: See) -> None:
    for path in [path for path in report_case.folder.rglob("*.*") if path.name != "case.json"]:
        path.unlink()

    assert "This case holds no diagnosis yet." in see(written(report_case)).text


def test_a_damaged_stage_is_said_and_not_hidden(report_case: Case, see: See) -> None:
    report_case.path("verdict.json").write_text('{"verified": "che', encoding="utf-8")

    assert "could not be used: verdict.json cannot be read" in see(written(report_case)).text


def test_a_failed_verification_is_not_called_a_repair(report_case: Case, see: See) -> None:
    verdict = report_case.read_json("verdict.json")
    verdict["tests"][0] |= {"passed": False, "detail": "CF501 is still there"}
    report_case.write_json("verdict.json", {**verdict, "passed": False, "verified": None})
    drop(report_case, "result.json", "diagnosis-after.json", "manifest-after.json", "log.jsonl")
    text = see(written(report_case)).text

    assert "did not pass its verification and was thrown away; the store was left as it is" in text
    assert "✖ failed" in text
    assert "Repaired and" not in text


def test_an_undone_repair_is_called_undone(report_case: Case, see: See) -> None:
    for event in ("undo begins", "undo done"):
        report_case.log(event)

    assert "The repair was undone: the store is as it was before it." in see(written(report_case)).text


def test_an_interrupted_swap_is_the_first_thing_said(report_case: Case, see: See) -> None:
    report_case.log("undo begins")
    text = see(written(report_case)).text

    assert "A swap was interrupted" in text
    assert f"forensics apply --case {report_case.folder} --resume" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1.5.9/healthy", "No damage found"),
        ("pickle-lost", "Do not open this store with Chroma before it is repaired"),
        ("sql-only-orphans", "Search cannot find 50 of the 300 records"),
    ],
)
def test_real_stores_from_diagnosis_to_report(
    sample: Sample, tmp_path: Path, name: str, words: str, see: See
) -> None:
    folder = tmp_path / "fresh-case"
    fx.diagnose(sample(name), case=folder)
    page = see(fx.report(folder).read_text("utf-8"))

    assert words in page.text
    assert not page.strange


# --- notebooks and looks


def test_fragments_are_the_cards_of_the_report(report_case: Case, see: See) -> None:
    for render, name in ((findings_html, "diagnosis"), (plan_html, "plan"), (verdict_html, "verdict")):
        html = render(report_case.read_json(f"{name}.json"))

        assert html == render(report_case.read_json(f"{name}.json"))
        assert not see(html).strange


def test_severity_is_word_icon_and_colour(report_case: Case) -> None:
    html = written(report_case)

    for name, icon in (("error", "■"), ("warning", "▲")):
        assert f'<span class="sev {name}"><span aria-hidden="true">{icon}</span> {name}</span>' in html


def palettes() -> Iterator[dict[str, str]]:
    """Every set of colours: light and dark of notebooks, dark and print of the report."""
    page = (Path(fx.__file__).parent / "report" / "templates" / "report.css").read_text("utf-8")
    for block in re.findall(r"\{([^{}]*--bg:[^{}]*)\}", style() + page):
        yield dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_text_has_a_contrast_of_four_and_a_half() -> None:
    found = list(palettes())
    assert len(found) == 4

    weak = [
        (text, ground, round(contrast(colours[text], colours[ground]), 2))
        for colours in found
        for text in ("fg", "muted", "fatal", "error", "warning", "note", "ok", "link", "missing")
        for ground in ("bg", "panel", *(f"{text}-bg" for _ in range(f"{text}-bg" in colours)))
        if contrast(colours[text], colours[ground]) < 4.5
    ]
    assert not weak
