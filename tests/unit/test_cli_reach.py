"""Every option of the command line is reachable from a cell or the panel: an argument of the verb, a choice, a control."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics import verbs
from forensics.cli_arguments import HEEDED, NARROWING, build_parser
from forensics.lab.panel import RepairPanel
from forensics.lab.session import Session
from forensics.repair.options import RepairOptions

TERMINAL_ALONE = {"help", "format", "verbose", "dry_run", "no_browser", "port"}
"""How a terminal shows it, stops at a plan, or starts JupyterLab itself."""
CALLED = {"nobody_else_uses_it": "nobody_else", "chromadb": "versions", "output": "out", "skip": "decline"}
OTHERWISE = {
    ("case", "what"): "release",
    ("explain", "what"): "text",
    ("export", "to"): "form",
    ("foretell", "chromadb"): "release",
}
"""What a verb of Python calls it, where that is another name."""


def options() -> list[tuple[str, str]]:
    """(verb, option) of the whole command line, without what says nothing to the verb."""
    listed = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    found = [(verb, action.dest) for verb, parser in listed.choices.items() for action in parser._actions]
    return [
        (verb, name)
        for verb, name in found
        if name not in TERMINAL_ALONE
        and verb != "lab"
        and not (name in NARROWING and name not in _heeded(verb))
        and not (name == "case" and verb in ("copy", "explain", "rescue"))
    ]


def _heeded(verb: str) -> tuple[str, ...]:
    """`apply`, `undo` and `case` only refuse what would narrow them."""
    return () if verb in ("apply", "undo", "case") else HEEDED.get(verb, ())


def arguments(verb: str) -> set[str]:
    """What the verb of that name takes in a cell; `repair` is `plan` and `apply`."""
    called = {"repair": ("plan", "apply"), "case": ("release",)}.get(verb, (verb.replace("-", "_"),))
    taken = {name for each in called for name in inspect.signature(getattr(verbs, each)).parameters}
    chosen = set(RepairOptions.__slots__) if "choices" in taken else set[str]()
    return taken | chosen


@pytest.mark.parametrize(("verb", "name"), options(), ids=lambda part: part)
def test_it_is_an_argument_of_the_verb_in_a_cell(verb: str, name: str) -> None:
    if (verb, name) == ("case", "what"):
        assert callable(fx.release)
        return
    called = OTHERWISE.get((verb, name), CALLED.get(name, name))
    taken = arguments(verb)
    assert called in taken or name in taken, f"--{name} of `forensics {verb}` has no argument"


def test_it_is_a_control_of_the_panel_where_it_is_about_a_repair(
    sample: Callable[[str], Path], tmp_path: Path
) -> None:
    store = sample("peek-failure-few")
    session = Session(store, sample=None, embedder=None, unattended=False, case=tmp_path / "case")
    panel = RepairPanel(session).options
    given = {*vars(panel), *panel.of_the_plan(), *panel.of_the_run(), "decline", "only"}  # the check boxes
    about = {name for verb, name in options() if verb in ("plan", "apply", "repair")}
    typed = {
        "store",
        "case",
        "segment",
        "metadata_segment",
        "yes",
        "resume",
    }  # chosen, typed, or a button of its own
    assert {CALLED.get(name, name) for name in about - typed} <= given
    assert {"rebuild", "embedder", "threads", "to"} <= {CALLED.get(name, name) for name in about}


def test_no_option_is_forgotten_here() -> None:
    verbs_there = {verb for verb, _ in options()}
    assert verbs_there == {
        *(
            "diagnose",
            "probe",
            "foretell",
            "plan",
            "apply",
            "repair",
            "verify",
            "undo",
            "report",
            "case",
            "export",
        ),
        *(
            "copy",
            "explain",
            "foretell",
            "past",
            "timeline",
            "classify",
            "embedder",
            "rescue",
            "restore-quarantined",
        ),
    }
    assert len(options()) > 60
