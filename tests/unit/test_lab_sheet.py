"""Tables and pages that a notebook shows."""

from __future__ import annotations

from forensics.lab.sheet import MOST, WIDTH, Page, Table

HOSTILE = "<script>alert(1)</script>\x1b[31m"


def test_text_is_aligned_and_numbers_stand_right() -> None:
    table = Table(("name", "records"), (("terms", 300), ("a longer name", 1_234_567)))
    assert repr(table).split("\n") == [
        "name             records",
        "terms                300",
        "a longer name  1,234,567",
    ]


def test_html_escapes_what_a_store_says() -> None:
    html = Table(("id",), ((HOSTILE,),))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html
    assert "\x1b" not in repr(Table(("id",), ((HOSTILE,),)))


def test_long_cells_go_on_below_themselves() -> None:
    text = repr(Table(("code", "what"), (("CF501", "word " * 80),)))
    assert max(map(len, text.split("\n"))) <= WIDTH


def test_what_is_too_long_says_how_much_more_there_is() -> None:
    table = Table(("n",), tuple((n,) for n in range(MOST + 25)))
    assert len(table) == MOST + 25
    assert repr(table).endswith("… and 25 more")
    assert table._repr_html_().count("<tr>") == MOST + 1
    assert len(table.frame()) == MOST + 25


def test_an_empty_table_says_why() -> None:
    table = Table(("n",), (), "There is no segment directory.")
    assert repr(table) == "There is no segment directory."
    assert "There is no segment directory." in table._repr_html_()


def test_headings_of_a_page_are_smaller_than_those_of_the_notebook() -> None:
    page = Page("# CF501\n\ntext # no heading\n\n## How\n")
    assert page._repr_markdown_() == "### CF501\n\ntext # no heading\n\n#### How\n"
    assert repr(page).startswith("# CF501")
