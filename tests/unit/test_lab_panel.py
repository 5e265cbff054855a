"""The panels as widgets, clicked without a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ipywidgets as w
import pytest

from forensics.lab.launch import open_case, walk_environment
from forensics.lab.panel import RepairPanel
from forensics.lab.report_panel import ReportPanel
from forensics.lab.session import SAMPLE_EMBEDDER, Session, open_session
from forensics.repair.options import RepairOptions

Sample = Callable[[str], Path]


@pytest.fixture
def session(sample: Sample, tmp_path: Path) -> Callable[[str], Session]:
    def begun(name: str) -> Session:
        store = sample(name)
        case = open_case(store, tmp_path / "case", None)
        return open_session(
            environment=walk_environment(store, case, None, yes=False, embedder=SAMPLE_EMBEDDER)
        )

    return begun


def test_clicked_through(session: Callable[[str], Session]) -> None:
    panel = RepairPanel(session("peek-failure-few"))
    assert repr(panel) == "RepairPanel: idle; 2 of 2 findings chosen, 0 steps"
    assert panel.apply_button.disabled
    assert panel.undo_button.disabled
    panel.preview_button.click()
    assert "Nothing has been changed" in panel.plan_view.value
    panel.typed.value = "wrong"
    assert panel.apply_button.disabled
    panel.typed.value = panel.model.word_to_type
    assert not panel.apply_button.disabled
    panel.apply_button.click()
    assert panel.preview_button.disabled
    assert panel.cancel_button.disabled
    panel.wait()
    assert repr(panel) == "RepairPanel: verified; 2 of 2 findings chosen, 2 steps"
    assert "Repaired and verified" in panel.status.value
    assert "promised findings are gone" in panel.verdict_view.value
    assert panel.apply_button.disabled
    assert panel.preview_button.disabled
    panel.undo_button.click()
    assert "Undone" in panel.status.value
    assert panel.undo_button.disabled
    panel.redo_button.click()
    assert "The repair is back" in panel.status.value


def test_cancel_is_what_stands_out_and_comes_first(session: Callable[[str], Session]) -> None:
    panel = RepairPanel(session("peek-failure-few"))
    assert panel.cancel_button.button_style == "primary"
    assert panel.apply_button.button_style == ""
    row = next(row for row in panel.approval.children if isinstance(row, w.HBox))
    assert row.children == (panel.cancel_button, panel.apply_button)
    panel.preview_button.click()
    panel.typed.value = panel.model.word_to_type
    panel.cancel_button.click()
    assert (panel.model.state, panel.typed.value, panel.plan_view.value) == ("idle", "", "")


def test_unchecking_a_finding_voids_the_plan_and_leaves_it_out_of_the_next(
    session: Callable[[str], Session],
) -> None:
    panel = RepairPanel(session("peek-failure-few"))
    panel.preview_button.click()
    panel.boxes["CF501"].value = False
    assert panel.plan_view.value == ""
    panel.preview_button.click()
    assert panel.model.plan is not None
    assert list(panel.model.plan.options["decline"]) == ["CF501"]


def test_what_is_refused_becomes_the_message(session: Callable[[str], Session]) -> None:
    panel = RepairPanel(session("peek-failure-few"))
    for field, value, said in (
        (panel.options.accept_loss, "CF999", "CF999"),
        (panel.options.embedder, "no colon", "module:callable"),
        (panel.options.max_elements, "many", "many"),
    ):
        field.value, before = value, field.value
        panel.preview_button.click()
        assert said in panel.status.value
        field.value = before


def test_every_option_of_a_plan_has_a_control(session: Callable[[str], Session]) -> None:
    panel = RepairPanel(session("peek-failure-few"))
    given = set(panel.options.of_the_plan()) | {"decline", "only"}  # the check boxes
    assert {name for name in RepairOptions.__slots__ if not name.startswith("embedder_")} <= given
    assert set(panel.options.of_the_run()) == {"to", "in_place", "nobody_else", "engine"}


def test_one_collection_can_be_chosen(session: Callable[[str], Session]) -> None:
    panel = RepairPanel(session("healthy-three-collections"))
    _, first = panel.options.collection.options[1]
    panel.options.collection.value = first
    assert panel.options.of_the_plan()["collection"] == first
    panel.preview_button.click()
    assert "Nothing to do" in panel.status.value


def test_every_control_says_what_it_is_for(session: Callable[[str], Session]) -> None:
    panel = RepairPanel(session("peek-failure-few"))
    buttons = [
        panel.preview_button,
        panel.cancel_button,
        panel.apply_button,
        panel.undo_button,
        panel.redo_button,
    ]
    for control in (*panel.options.fields, *panel.boxes.values(), *buttons, panel.release_button):
        assert control.description
        assert control.tooltip
    assert all(box.description[0] in "✖■▲" for box in panel.boxes.values())


def test_it_reads_without_a_kernel_and_escapes_names(session: Callable[[str], Session]) -> None:
    panel = RepairPanel(session("peek-failure-few"))
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == repr(panel)
    assert "CF501 ids-missing-from-index" in bundle["text/html"]
    panel.model.message = "<script>"
    assert "<script>" not in panel.as_html()


def test_the_report_is_one_click(session: Callable[[str], Session], tmp_path: Path) -> None:
    walk = session("peek-failure-few")
    assert walk.diagnosis.findings
    panel = ReportPanel(walk)
    assert repr(panel) == "ReportPanel: not written yet"
    panel.button.click()
    assert panel.path == walk.case.folder / "report.html"
    panel.out.value = str(tmp_path)
    panel.button.click()
    assert "is a folder" in panel.status.value
