"""What is left of each id after the queue is replayed, against the plainest model: a dict of vectors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensics.readers.embeddings_queue import ADD, DELETE, UPDATE, UPSERT, QueueRow, effects

NAMES = "abcd"
CALLS = st.lists(
    st.tuples(st.sampled_from([ADD, UPDATE, UPSERT, DELETE]), st.sampled_from(NAMES), st.booleans()),
    max_size=30,
)


def rows_of(calls: list[tuple[int, str, bool]]) -> list[QueueRow]:
    return [
        QueueRow(seq, operation, name, 128 if vector else None, "FLOAT32" if vector else None)
        for seq, (operation, name, vector) in enumerate(calls, start=1)
    ]


def replay(rows: list[QueueRow], before: set[str]) -> dict[str, int | None]:
    """id → the row whose vector it has (None: the one from before the queue), for ids that are left."""
    held: dict[str, int | None] = dict.fromkeys(before)
    for row in rows:
        if row.operation == DELETE:
            held.pop(row.id, None)
            continue
        there = row.id in held
        if (row.operation == ADD and there) or (row.operation == UPDATE and not there):
            continue
        held[row.id] = held.get(row.id) if row.vector_bytes is None else row.seq_id
    return held


@given(calls=CALLS, before=st.sets(st.sampled_from(NAMES)))
def test_as_the_model_has_it(calls: list[tuple[int, str, bool]], before: set[str]) -> None:
    rows = rows_of(calls)
    found, model = effects(rows, before.__contains__), replay(rows, before)
    assert set(found) == {row.id for row in rows}
    for name, effect in found.items():
        assert effect.exists == (name in model)
        assert effect.last_seq == max(row.seq_id for row in rows if row.id == name)
        if effect.exists:
            assert effect.vector_seq == model[name]
