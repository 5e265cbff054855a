"""What a user does in JupyterLab: run notebook 00, and repair with the panel of notebook 05."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from forensics.case import Case
from forensics.lab.panel_model import standing
from forensics.seal import compare, seal

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def opened(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector("text=| Idle")


def run_all(page: Any) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def saved_when_done(page: Any, path: Path) -> Any:
    """The notebook as JupyterLab saved it, once its last cell was executed."""
    for _ in range(120):
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1000)
        book = nbformat.read(path, as_version=4)
        cells = [cell for cell in book.cells if cell.cell_type == "code"]
        if all(cell.execution_count for cell in cells):
            return cells
    pytest.fail("the notebook did not come to its end")


def run_cells(page: Any, count: int) -> None:
    page.locator(".jp-Notebook .jp-Cell").first.click()
    for _ in range(count):
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(300)


def codes_of(store: Path) -> list[str]:
    """What a diagnosis in another process finds; in this one it would keep the store open for a while."""
    words = [sys.executable, "-P", "-m", "forensics", "diagnose", str(store), "--format", "json"]
    answer = json.loads(subprocess.run(words, capture_output=True, check=False).stdout)
    return [found["code"] for found in answer["findings"] if found["severity"] != "note"]


def test_notebook_00_opens_on_the_store_and_runs_to_its_end(page: Any, lab: Callable[..., Any]) -> None:
    walk = lab("peek-failure")
    before = seal(walk.store)
    opened(page, walk.address)
    assert page.get_by_text("Damaged:").count() == 0
    run_all(page)
    cells = saved_when_done(page, walk.case / "notebooks" / "00_start_here.ipynb")
    assert not [
        out
        for cell in cells
        for out in cell.outputs
        if out.output_type == "error" or out.get("name") == "stderr"
    ]
    page.keyboard.press("Control+Home")
    page.get_by_text('Damaged: search cannot find 279 of the 300 records of "terms".').first.wait_for()
    assert Case.open(walk.case).has("diagnosis.json")
    assert compare(before, seal(walk.store)) == ()
    assert page.asked_elsewhere == []


def test_from_findings_to_repair_and_back_by_the_panel(page: Any, lab: Callable[..., Any]) -> None:
    walk = lab("peek-failure-few")
    before = seal(walk.store)
    opened(page, walk.of("05_repair_and_verify"))
    run_cells(page, 5)
    panel = page.locator(".jp-OutputArea-output .widget-vbox").first
    panel.get_by_text("CF501 ids-missing-from-index").wait_for()
    button = lambda name: panel.locator(".jupyter-button", has_text=name).first  # noqa: E731
    button("Preview the plan").click()
    panel.get_by_text("will be done").first.wait_for()
    assert button("Apply the plan").is_disabled()
    typed = panel.get_by_placeholder(walk.store.name).first
    typed.fill("something else")
    page.wait_for_timeout(500)
    assert button("Apply the plan").is_disabled()
    assert compare(before, seal(walk.store)) == ()
    typed.fill(walk.store.name)
    page.wait_for_function(
        "text => ![...document.querySelectorAll('button')].find(b => b.textContent.includes(text)).disabled",
        arg="Apply the plan",
    )
    button("Apply the plan").click()
    panel.get_by_text("Repaired and verified").wait_for()
    assert set(codes_of(walk.store)) <= {"CF005"}  # the kernel still has the old one open
    button("Undo").click()
    panel.get_by_text("Undone: the store is as it was before the repair, byte for byte.").wait_for()
    assert compare(before, seal(walk.store)) == ()
    button("Redo").click()
    panel.get_by_text("The repair is back.").wait_for()
    assert standing(Case.open(walk.case)) == "verified"
    assert page.asked_elsewhere == []
