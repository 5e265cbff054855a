"""The history of a store: stamps are observed, what they mean together is inferred, and nothing is made up."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import forensics as fx
from forensics.history import Event, history

Sample = Callable[[str], Path]


def events_of(store: Path) -> tuple[Event, ...]:
    with fx.open_store(store) as opened:
        return history(opened)


def said(events: tuple[Event, ...], words: str) -> Event:
    found = [event for event in events if words in event.what]
    assert len(found) == 1, (words, events)
    return found[0]


def test_a_directory_set_aside_tells_when_by_its_name(sample: Sample) -> None:
    event = said(events_of(sample("set-aside")), "was set aside")

    assert (event.when, event.kind) == ("2025-06-14 03:15:02", "inferred")


def test_records_in_two_bursts_are_two_events(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("UPDATE embeddings SET created_at = '2026-01-02 03:04:05' WHERE id <= 40")
        database.execute("UPDATE embeddings SET created_at = '2026-01-02 09:00:00' WHERE id > 40")
        (rows,) = database.execute("SELECT count(*) FROM embeddings").fetchone()

    bursts = [event for event in events_of(store) if event.source == "embeddings.created_at"]

    assert [event.when for event in bursts] == ["2026-01-02 03:04:05", "2026-01-02 09:00:00"]
    assert [event.what.split()[0] for event in bursts] == ["40", str(rows - 40)]
    assert {event.kind for event in bursts} == {"observed"}


def test_an_index_that_stood_still_while_records_came_is_inferred(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("UPDATE embeddings SET created_at = '2026-06-01 00:00:00'")
        segment = database.execute("SELECT id FROM segments WHERE scope = 'VECTOR'").fetchone()[0]
    for file in (store / segment).iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))

    event = said(events_of(store), "was not written after this")

    assert event.when == "2023-11-14 22:13:20"
    assert event.kind == "inferred"


def test_gaps_in_the_sequence_are_told_with_their_ends(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM embeddings WHERE seq_id BETWEEN 50 AND 59")

    gaps = [event for event in events_of(store) if event.sequence and "left no record" in event.what]

    assert any(first <= 50 and last >= 59 for first, last in (event.sequence or (0, 0) for event in gaps))
    assert all(event.when == "" and event.kind == "inferred" for event in gaps)


def test_stamps_that_no_calendar_has_are_left_empty(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute(
            "INSERT INTO maintenance_log (id, timestamp, operation) VALUES (1, ?, 'vacuum')", (2**60,)
        )

    assert said(events_of(store), "vacuum").when == ""


def test_every_sample_has_a_history_in_order_and_is_not_written(sample: Sample) -> None:
    store = sample("0.4.24/healthy")
    events = events_of(store)
    dated = [event.when for event in events if event.when]

    assert dated == sorted(dated)
    assert events == events_of(store)
    assert len(dated) >= 4
