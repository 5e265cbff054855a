"""Ids by prefix, by pattern and by metadata key."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensics.absent import Absent
from forensics.breakdown import by_metadata, by_pattern, by_prefix, find_separator, prefix
from forensics.readers.database import Database
from forensics.store import open_store

ONTOLOGY = [
    f"{o}:{k}:http://example.org/{o}_{i}" for o in ("go", "hp") for k in ("class", "term") for i in range(40)
]


@pytest.mark.parametrize(
    ("ids", "separator"),
    [
        (ONTOLOGY, ":"),
        ([f"user/{i % 4}/{i}" for i in range(100)], None),  # one prefix for all divides nothing
        ([f"{i % 4}/{i}" for i in range(100)], "/"),
        ([f"{chr(97 + i % 5)}-{i}" for i in range(100)], "-"),
        ([f"{i:032x}" for i in range(100)], None),
        ([str(i) for i in range(10)], None),
        ([], None),
    ],
)
def test_the_separator_is_the_one_that_divides_into_few(ids: list[str], separator: str | None) -> None:
    assert find_separator(ids) == separator


def test_a_separator_that_one_id_in_five_lacks_is_none() -> None:
    assert find_separator([f"a:{i}" for i in range(40)] + [f"b:{i}" for i in range(40)] + ["x"] * 20) is None


def test_ids_by_prefix_against_all_with_it() -> None:
    found = by_prefix([name for name in ONTOLOGY if name.startswith("go:class")] + ONTOLOGY[-3:], ONTOLOGY)
    assert (found.separator, found.parts, found.groups) == (":", 2, 2)
    assert [(group.name, group.count, group.of) for group in found.top] == [
        ("go:class", 40, 40),
        ("hp:term", 3, 40),
    ]


def test_the_number_of_parts_can_be_chosen() -> None:
    found = by_prefix(ONTOLOGY[:60], ONTOLOGY, separator=":", parts=1)
    assert [(group.name, group.count, group.of) for group in found.top] == [("go", 60, 80)]
    assert prefix("a", ":", 2) == "a"


def test_only_the_largest_groups_are_shown() -> None:
    ids = [f"{i % 30}:{i}" for i in range(900)]
    found = by_prefix(ids, ids, top=5)
    assert (found.groups, len(found.top)) == (30, 5)
    assert found.to_json()["top"][0] == {"name": "0", "count": 30, "of": 30}  # type: ignore[index]


def test_ids_without_a_separator_have_no_groups() -> None:
    assert by_prefix(["1", "2"], ["1", "2", "3"]).to_json() == {
        "separator": None,
        "parts": 0,
        "groups": 0,
        "top": [],
    }


def test_ids_by_a_pattern() -> None:
    found = by_pattern(["a1", "a2", "b1"], ["a1", "a2", "a3", "b1", "?"], r"^([a-z])")
    assert [(group.name, group.count, group.of) for group in found.top] == [("a", 2, 3), ("b", 1, 1)]


def test_records_by_metadata_key(sample) -> None:
    with open_store(sample("1.5.9/healthy")) as store:
        assert isinstance(store.database, Database)
        found = by_metadata(store.database, range(1, 101))
        assert found["entity_type"].top[0].count >= found["entity_type"].top[-1].count
        assert sum(group.count for group in found["obsolete"].top) == 100
        assert {group.name for group in found["obsolete"].top} == {"0", "1"}
        assert "chroma:document" not in found
        assert "label" not in found  # one for nearly every record


def test_a_database_without_the_table_has_no_groups(tmp_path: Path) -> None:
    import sqlite3

    sqlite3.connect(tmp_path / "chroma.sqlite3").execute("CREATE TABLE other (id)").connection.close()
    database = Database.open(tmp_path / "chroma.sqlite3", in_use=False, scratch=tmp_path)
    assert not isinstance(database, Absent)
    assert by_metadata(database, [1]) == {}
    database.close()
