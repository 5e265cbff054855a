"""Whatever stands in a finding: text stays text, in HTML and in a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.model import Cause, Diagnosis, Finding, Place, Remedy
from forensics.report.data import Reveal, redacted
from forensics.report.plain import visible
from forensics.report.render import finding_card, findings_html
from forensics.report.text import diagnosis_text, finding_text

MARKUP = ("<script>alert(1)</script>", "' onmouseover='x", '"><img src=x>', "</style>", "<!--", "&lt;", "]]>")
TEMPLATES = ("{{ 7*7 }}", "{% raw %}", "`", "javascript:x")
HIDDEN = ("\x1b[2J", "\x9b1m", "\u202e", "\u2066", "\ud800", "\x00", "\r", "\n", "\u2028", "\x1f")
NASTY = st.sampled_from((*MARKUP, *TEMPLATES, *HIDDEN))
TEXT = st.one_of(
    st.text(max_size=30), NASTY, st.builds("".join, st.lists(NASTY | st.text(max_size=5), max_size=5))
)
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT)
DATA = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)


def finding_of(text: str, data: Any) -> Finding:
    return Finding(
        code="CF501",
        name=text,
        severity="error",
        confidence="likely",
        collection=text,
        count=3,
        unit="records",
        expected=data,
        found={"data": data, "text": text, "examples": [text]},
        where=(Place(file=text, rows=text, offset=7),),
        means=text,
        remedy=Remedy(action=text, safety="manual"),
        follows=("CF502",),
        causes=(Cause(name=text, confidence="likely", evidence=text),),
    )


class Seen(HTMLParser):
    """The tags, attribute names and text that a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment got in: {data!r}")


PLAIN = Seen(finding_card(finding_of("a `b` c", {"x": [1]})))


def hidden_in(text: str) -> set[str]:
    """Letters, but for line ends, that nobody sees or that steer what shows them."""
    return {x for x in text.replace("\n", "") if unicodedata.category(x) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(text=TEXT, data=DATA)
def test_no_string_of_a_finding_adds_markup(text: str, data: Any) -> None:
    seen = Seen(finding_card(finding_of(text, data)))

    assert seen.tags <= PLAIN.tags
    assert seen.attributes <= PLAIN.attributes


@given(text=TEXT)
def test_every_letter_of_a_finding_can_be_read(text: str) -> None:
    """What it means is printed whole (but for the marks of code), its hidden letters as escapes."""
    seen = Seen(finding_card(finding_of(text, {})))
    expected = squeezed(visible(text, keep="\n").replace("`", ""))

    assert expected in squeezed("".join(seen.texts)).replace("`", "")


@given(text=TEXT, data=DATA)
def test_html_can_be_written_and_hides_nothing(text: str, data: Any) -> None:
    html = finding_card(finding_of(text, data))

    assert html.encode("utf-8")
    assert not hidden_in(html)


@pytest.mark.parametrize(
    "render",
    [finding_text, lambda finding: diagnosis_text(diagnosis_of(finding))],
    ids=["finding", "diagnosis"],
)
@given(text=TEXT, data=DATA)
def test_no_string_of_a_finding_steers_a_terminal(
    render: Callable[[Finding], str], text: str, data: Any
) -> None:
    shown = render(finding_of(text, data))

    assert shown.encode("utf-8")
    assert not hidden_in(shown)


def diagnosis_of(finding: Finding) -> Diagnosis:
    store = {"path": f"/srv/{finding.name}", "chroma": finding.name, "safe_to_open": True, "unchanged": True}
    return Diagnosis(tool={}, store=store, collections=(), findings=(finding,), checks=())


@given(text=TEXT, data=DATA)
def test_a_diagnosis_adds_no_markup_either(text: str, data: Any) -> None:
    seen = Seen(findings_html(diagnosis_of(finding_of(text, data))))

    assert "script" not in seen.tags
    assert not {name for name in seen.attributes if name.startswith("on")}


@given(ids=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5))
def test_no_id_survives_redaction_whole(ids: list[str]) -> None:
    data = {"examples": ids, "ids_alike": [ids], "nested": {"first": ids[0]}, "ids": dict.fromkeys(ids, 1)}
    hidden = redacted(data, Reveal(ids=False))
    shown = {*hidden["examples"], *hidden["ids_alike"][0], hidden["nested"]["first"], *hidden["ids"]}

    assert not shown.intersection(ids)


@given(text=st.text())
def test_visible_text_is_the_text_with_escapes(text: str) -> None:
    shown = visible(text)
    kept = re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])", "", shown)

    assert visible(shown) == shown
    assert set(kept) <= set(text)
