# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""The index directory was renamed to `<segment>.drift-<time>` and the engine began a new one from the queue.

260 records had been flushed and purged when a clean-up tool set the directory aside; 21 rows were left in
the queue, 20 more records arrived, and 26 elements were flushed as the new index; 15 are pending. The
vectors of the 259 others are in the set-aside directory only.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

sample = Sample(
    __file__, "A set-aside .drift- directory holds the 259 of 300 vectors that the live index lacks."
)
texts = records()
with sample.builder() as store:
    store.create("terms", space="cosine", sync_threshold=26)
    store.add("terms", texts[:260], step=26)
    store.add("terms", texts[260:280], step=10)
    store.restart()
    directory = sample.directory()
    directory.rename(directory.with_name(f"{directory.name}.drift-20250614-031502"))
    assert store.engine.call("count", collection="terms") == 280
    store.add("terms", texts[280:], step=5)

finding = "Error executing plan: Internal error: Error finding id"
sample.finish(
    together(
        case("count answers", "count", value=300),
        case("peek fails", "peek", limit=10, error=finding),
        case("queries find what came since", "query", documents="all", k=3, finds_itself=41),
    )
)
