"""Compiled templates are kept beside compiled modules, are used again, and never where their source changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from forensics.report.bytecode import BesideModules


def rendered(source: str, *, trim: bool = False) -> str:
    """By an environment that has not seen the template before."""
    environment = Environment(
        loader=DictLoader({"t": source}), trim_blocks=trim, bytecode_cache=BesideModules(), autoescape=True
    )
    return environment.get_template("t").render(x=1)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_template_is_compiled_once(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered("one {{ x }}") == "one 1"
    assert len(files(kept)) == 1
    monkeypatch.setattr(Environment, "compile", None)
    assert rendered("one {{ x }}") == "one 1"


def test_a_changed_template_and_a_changed_option_are_compiled_again(kept: Path) -> None:
    assert rendered("{% if x %}\n1{% endif %}") == "\n1"
    assert rendered("{% if x %}\n1{% endif %}", trim=True) == "1"
    assert rendered("two") == "two"
    assert len(files(kept)) == 2  # one for each set of options


def test_what_is_no_bytecode_is_not_used(kept: Path) -> None:
    rendered("one")
    files(kept)[0].write_bytes(b"torn")
    assert rendered("one") == "one"


def test_nothing_is_kept_where_python_keeps_nothing(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered("one") == "one"
    assert files(kept) == []


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "file").write_text("")
    sys.pycache_prefix = str(tmp_path / "file")
    assert rendered("one") == "one"
