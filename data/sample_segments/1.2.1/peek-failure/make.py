# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.2.1", "numpy"]
# ///
"""The index directory was deleted after a purge, and the engine "rebuilt" a tiny index from the queue.

280 records are flushed and purged, 12 are pending. Someone deletes the directory of hexadecimal digits to save
space. The application opens the store again, the engine replays the 13 rows that the queue still has, 8 more
records arrive, and 21 elements are flushed as the new index of 300 records. Two ids end in blanks.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.texts import records

PADDED = {4: " ", 285: "  "}
SEARCHABLE = 21

sample = Sample(
    __file__,
    "Index directory deleted after a purge, then 21 of 300 rebuilt from the queue; 2 ids end in blanks.",
)
texts = [replace(record, id=record.id + PADDED.get(row, "")) for row, record in enumerate(records())]
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=20)
    store.add("terms", texts[:280], step=20)
    store.add("terms", texts[280:292], step=4)
    store.restart()
    shutil.rmtree(sample.directory())
    assert store.engine.call("count", collection="terms") == 292
    store.add("terms", texts[292:], step=4)
    assert store.engine.call("count", collection="terms") == 300

old, new = texts[50], texts[295]
query = {"call": "query", "collection": "terms", "k": 3}
finding = "Error executing plan: Internal error: Error finding id"
sample.finish(
    [
        {
            "says": "count answers",
            "calls": [{"call": "count", "collection": "terms"}],
            "expect": {"value": 300},
        },
        {"says": "get answers", "calls": [{"call": "ids", "collection": "terms"}], "expect": {"length": 300}},
        {
            "says": "query answers, from the few records that are left",
            "calls": [query | {"documents": "all"}],
            "expect": {"finds_itself": SEARCHABLE},
        },
        {
            "says": "peek fails",
            "calls": [{"call": "peek", "collection": "terms", "limit": 10}],
            "expect": {"error": finding},
        },
        {
            "says": "get with embeddings fails on one old id",
            "calls": [{"call": "vectors", "collection": "terms", "ids": [old.id]}],
            "expect": {"error": finding},
        },
        {
            "says": "get with embeddings answers on one new id",
            "calls": [{"call": "vectors", "collection": "terms", "ids": [new.id]}],
            "expect": {"vectors_true": 1},
        },
        {
            "says": "a filtered query fails",
            "calls": [query | {"documents": [old.document], "where": {"ontology": old.metadata["ontology"]}}],
            "expect": {"error": finding},
        },
    ]
)
