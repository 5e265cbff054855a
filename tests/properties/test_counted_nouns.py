"""No text of a finding says "1 records": every damage of the menu, and one element of each kind alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import forensics as fx
from forensics.model import Finding
from forensics.report.text import finding_text
from forensics.testing.damage import Damage, damage_menu
from forensics.testing.damage_database import change
from forensics.words import counted, plural, singular, unit_of

Sample = Callable[[str], Path]
NOUNS = (
    "ids|records|elements|rows|files|labels|vectors|entries|directories|links|collections|writes|tables|pages"
)
WRONG = re.compile(
    rf"(?<![\d.,·#])\b1 (\w+ )?({NOUNS}|gaps|writes|processes|neighbours|watermarks|segments|checks)\b"
)


def texts(finding: Finding) -> Iterator[str]:
    yield finding.means
    yield from (place.rows or "" for place in finding.where)
    yield from (cause.evidence for cause in finding.causes)
    yield finding_text(finding).replace("\n", " ")


def wrong(diagnosis: fx.Diagnosis) -> list[str]:
    return [text for finding in diagnosis.findings for text in texts(finding) if WRONG.search(text)]


@pytest.mark.parametrize("damage", damage_menu().values(), ids=lambda damage: damage.name)
def test_every_damage(damage: Damage, sample: Sample) -> None:
    store = sample(damage.sample)
    damage(store)
    assert wrong(fx.diagnose(store)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM embeddings WHERE id = 7",
        "UPDATE embeddings SET embedding_id = 'x' || embedding_id WHERE id = 7",
        "DELETE FROM embeddings_queue WHERE seq_id = 270",
        "DELETE FROM embeddings_queue WHERE seq_id = (SELECT max(seq_id) FROM embeddings_queue)",
        "DELETE FROM embedding_metadata WHERE id = 7",
        "UPDATE embeddings_queue SET vector = NULL WHERE seq_id = 270",
    ],
)
def test_one_of_each(statement: str, sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, statement)
    assert wrong(fx.diagnose(store)) == []


@given(st.sampled_from([*NOUNS.split("|"), "missing records", "live elements"]), st.integers(0, 10**9))
def test_the_noun_follows_its_number(noun: str, count: int) -> None:
    assert not WRONG.search(counted(count, noun))
    assert plural(singular(noun)) == noun == unit_of(2, singular(noun))
    assert counted(count, noun) == counted(count, singular(noun))
