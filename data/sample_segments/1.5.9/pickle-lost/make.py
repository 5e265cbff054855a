# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""index_metadata.pickle is gone beside a full index: the first count of the engine overwrites that index.

280 records are flushed, 20 are pending. The usual advice for a pickle that cannot be read, "delete it", was
taken.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import case, elements, together
from forensics.testing.texts import records

sample = Sample(
    __file__, "The id map was deleted beside a full index of 280 elements; opening it wipes level 0."
)
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=40)
    store.add("terms", records(), step=20)
assert list(elements(sample.store).values()) == [280]
(sample.directory() / "index_metadata.pickle").unlink()

segment = sample.segment()
finding = "Error executing plan: Internal error: Error finding id"
sample.finish(
    together(
        case("count answers, and the elements are gone", "count", value=300, elements={segment: 0}),
        case("peek fails", "peek", limit=10, error=finding),
        case("queries find what was still queued", "query", documents="all", k=3, finds_itself=21),
    )
)
