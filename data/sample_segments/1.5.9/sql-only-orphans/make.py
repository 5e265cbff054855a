# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""Two processes on one store: the newest 50 records have rows, but no label.

A opens the store and queries. B adds 50 records, which are flushed and purged. A, which still has the index
of before, updates 60 old records and flushes over the files of B. What B wrote stays in data_level0.bin
past the last element that the header counts, and some old elements, not rewritten by A, still link to it.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

OLD = 250
sample = Sample(__file__, "Two writers: the newest 50 of 300 records were flushed over by an older index.")
texts = records()
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=50)
    store.add("terms", texts[:OLD], step=25)
with sample.builder() as a:
    a.engine.call("query", collection="terms", documents=[texts[0].document], k=3)
    with a.peer() as b:
        b.add("terms", texts[OLD:], step=25)
    revised = [replace(record, document=f"{record.document} Revised.") for record in texts[:60]]
    a.add("terms", revised, how="update", step=20)

finding = "Error executing plan: Internal error: Error finding id"
lost = texts[OLD]
sample.finish(
    together(
        case("count answers", "count", value=300),
        case("peek answers, as the first records are whole", "peek", limit=10, vectors_true=10),
        case("get with embeddings fails", "vectors", error=finding),
        case("get with embeddings fails on a new id", "vectors", ids=[lost.id], error=finding),
        case("a query near a lost record fails", "query", documents=[lost.document], k=3, error=finding),
        case(
            "a filtered query fails",
            "query",
            documents=[lost.document],
            k=3,
            where={"year": {"$gte": 2015}},
            error=finding,
        ),
    )
)
