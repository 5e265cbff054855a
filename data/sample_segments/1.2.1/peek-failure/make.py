# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.2.1", "numpy"]
# ///
"""The index directory was deleted after a purge, and the engine "rebuilt" a tiny index from the queue.

280 records are flushed and purged, 12 are pending. Someone deletes the directory of hexadecimal digits to
save space. The application opens the store again, the engine replays the 13 rows that the queue still has,
8 more records arrive, and 21 elements are flushed as the new index of 300 records. Two ids end in blanks.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

PADDED = {4: " ", 285: "  "}

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
finding = "Error executing plan: Internal error: Error finding id"
sample.finish(
    together(
        case("count answers", "count", value=300),
        case("get answers", "ids", length=300),
        case("query answers from the 21 that are left", "query", documents="all", k=3, finds_itself=21),
        case("peek fails", "peek", limit=10, error=finding),
        case("get with embeddings fails on an old id", "vectors", ids=[old.id], error=finding),
        case("get with embeddings answers on a new id", "vectors", ids=[new.id], vectors_true=1),
        case(
            "a filtered query fails",
            "query",
            documents=[old.document],
            k=3,
            where={"ontology": old.metadata["ontology"]},
            error=finding,
        ),
    )
)
