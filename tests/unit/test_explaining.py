"""Every check has its page, and error messages lead to the codes that they can come from."""

from __future__ import annotations

import re

import pytest

from forensics.checks import load_checks
from forensics.checks.registry import CHECKS
from forensics.codes import catalogue
from forensics.errors import UsageError
from forensics.explaining import HEADINGS, MESSAGES, codes_of_message, explain, page

load_checks()
IMPLEMENTED = sorted({*CHECKS, "CF901", "CF902", "CF903"})


@pytest.mark.parametrize("code", IMPLEMENTED)
def test_every_check_has_a_page_with_all_parts(code: str) -> None:
    text = page(code)
    assert text.startswith(f"# {code} {catalogue()[code].name}\n")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    titles = [part.splitlines()[0] for part in parts]
    assert [next((h for h in HEADINGS if title.startswith(h)), title) for title in titles] == list(HEADINGS)
    assert all(len(part.split("\n", 1)[1].strip()) > 20 or "None is needed" in part for part in parts)


@pytest.mark.parametrize("code", IMPLEMENTED)
def test_pages_name_only_codes_that_exist(code: str) -> None:
    assert set(re.findall(r"CF\d{3}", page(code))) <= catalogue().keys()


def test_a_code_may_be_typed_in_small_letters_and_a_name_instead() -> None:
    assert explain(" cf203 ") == page("CF203") == explain("watermark-poisoned")


@pytest.mark.parametrize("part", [part for part, _ in MESSAGES])
def test_messages_lead_to_codes_that_exist(part: str) -> None:
    codes = codes_of_message(f"chromadb.errors.InternalError: {part}: more of it")
    assert codes
    assert set(codes) <= catalogue().keys()


@pytest.mark.parametrize(
    ("message", "first"),
    [
        ("InternalError: Error executing plan: Internal error: Error finding id", "CF501"),
        ("error returned from database: (code: 779) database disk image is malformed", "CF103"),
        ("(code: 11) database disk image is malformed", "CF102"),
        ("KeyError: '_type'", "CF805"),
        ("no such table: embedding_fulltext_search", "CF106"),
        ("no such table: tenants", "CF003"),
        ("Could not connect to tenant default_tenant. Are you sure it exists?", "CF813"),
        ("pyo3_runtime.PanicException: range start index 10 out of range for slice of length 9", "CF801"),
    ],
)
def test_a_pasted_message_names_the_likeliest_code_first(message: str, first: str) -> None:
    text = explain(message)
    assert text.splitlines()[2].startswith(f"- {first} {catalogue()[first].name}")
    assert f"forensics explain {first}" in text


@pytest.mark.parametrize("text", ["CF999", "CF1", "something else entirely", ""])
def test_what_is_not_known_is_said_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        explain(text)
    assert "\n" not in str(raised.value)
