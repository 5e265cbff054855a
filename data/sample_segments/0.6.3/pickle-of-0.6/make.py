# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==0.6.3", "numpy<2"]
# ///
"""An id map in the attribute form of 0.5 and 0.6, without 40 ids that have rows: two writers again.

A opens the store of 200 records and queries. B adds 40, which are flushed and purged. A adds 60 more and
flushes over the elements of B. The missing ids lie in the middle of the sequence; no link dangles, since
A's elements took the places of B's.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

sample = Sample(__file__, "Id map in the attribute form; 40 ids in the middle are missing after two writers.")
texts = records()
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=20, batch_size=10)
    store.add("terms", texts[:200], step=20)
with sample.builder() as a:
    a.engine.call("query", collection="terms", documents=[texts[0].document], k=3)
    with a.peer() as b:
        b.add("terms", texts[200:240], step=10)
    a.add("terms", texts[240:], step=10)

sample.finish(
    together(
        case("count answers", "count", value=300),
        case("peek answers, as the first records are whole", "peek", limit=10, vectors_true=10),
        case("get with embeddings fails", "vectors", error="list assignment index out of range"),
        case("queries never find the 40", "query", documents="all", k=3, finds_itself=260),
    )
)
