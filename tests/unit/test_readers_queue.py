"""What replay leaves of an id, against a model that applies one operation after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensics.readers.database import SeqId
from forensics.readers.embeddings_queue import ADD, DELETE, UPDATE, UPSERT, QueueRow, effects

OPERATIONS = st.tuples(st.sampled_from([ADD, UPDATE, UPSERT, DELETE]), st.sampled_from("abc"), st.booleans())


@given(st.lists(OPERATIONS, max_size=30), st.sets(st.sampled_from("abc")))
def test_the_effect_is_that_of_a_plain_dictionary(operations, before):
    rows = [
        QueueRow(seq, operation, name, 32 if vector and operation != DELETE else None, "FLOAT32")
        for seq, (operation, name, vector) in enumerate(operations, start=1)
    ]
    model: dict[str, int | None] = dict.fromkeys(before)
    for row in rows:
        if row.operation == DELETE:
            model.pop(row.id, None)
        elif (row.operation == ADD and row.id in model) or (row.operation == UPDATE and row.id not in model):
            continue
        else:
            model[row.id] = row.seq_id if row.vector_bytes is not None else model.get(row.id)

    left = effects(rows, before.__contains__)

    assert {name for name, effect in left.items() if effect.exists} == {row.id for row in rows} & model.keys()
    for name, effect in left.items():
        if effect.exists:
            assert effect.vector_seq == model[name]


def test_sequence_ids_are_decoded_by_their_type():
    assert SeqId.decode(7) == SeqId(7, "integer")
    assert SeqId.decode((9).to_bytes(8, "big")) == SeqId(9, "blob")
    assert SeqId.decode(b"\x11" * 16 + (9).to_bytes(8, "big")) == SeqId(9, "blob")
    assert SeqId.decode(b"\x01").value is None
    assert SeqId.decode(None) == SeqId(None, "null")
