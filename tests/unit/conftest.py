"""Fixtures of the unit tests: a damage that is found, a case of a real repair, what a browser would see of a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from forensics.case import Case
from forensics.model import Finding
from forensics.testing.showing import shown

NOW = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
VOID = {"meta", "br"}
TAGS = frozenset(
    {
        "a",
        "article",
        "b",
        "body",
        "br",
        "code",
        "dd",
        "defs",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "footer",
    }
    | {
        "h1",
        "h2",
        "h3",
        "head",
        "header",
        "html",
        "li",
        "main",
        "meta",
        "nav",
        "ol",
        "p",
        "pattern",
        "rect",
        "section",
    }
    | {"span", "strong", "style", "svg", "table", "tbody", "td", "th", "thead", "title", "tr", "ul"}
)


class Page(HTMLParser):
    """What a browser would see: tags, attributes, text; end tags must match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "title"):
            self.texts.append(data)

    @property
    def strange(self) -> set[str]:
        """Elements that no template has."""
        return set(self.tags) - TAGS

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture
def see() -> Callable[[str], Page]:
    """`see(html)` is the page as a parser finds it."""
    return Page


@pytest.fixture
def report_case(tmp_path: Path) -> Case:
    """The case of a real repair, in a folder that may be written."""
    folder = tmp_path / "case"
    shutil.copytree(
        Path(__file__).parent / "report_case",
        folder,
        ignore=shutil.ignore_patterns("*.py", "*.html", "__pycache__"),
    )
    return Case.open(folder, clock=lambda: NOW)


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[..., Finding]:
    """`damaged(name)` is the finding of a damage on a sample that showed nothing before."""
    return partial(shown, folder=tmp_path)
