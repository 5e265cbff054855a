# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""A healthy store of three collections with three spaces, one of them empty; two of them share ids."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import case, works
from forensics.testing.texts import records

sample = Sample(
    __file__, "Healthy: three collections (cosine, ip and an empty one with l2), some ids in two of them."
)
texts = records()
terms = [record for record in texts if record.metadata["ontology"] not in {"hd", "kb"}]
notes = [record for record in texts if record.metadata["ontology"] in {"hd", "kb"}] + terms[:10]
with sample.builder() as store:
    store.create("terms", space="cosine", sync_threshold=30, M=8)
    store.create("notes", space="ip", sync_threshold=50)
    store.create("drafts", space="l2")
    store.add("terms", terms, step=10)
    store.add("notes", notes, step=10)
sample.finish(
    [
        *works("terms", len(terms)),
        *works("notes", len(notes), finds_itself=False),
        case("the empty collection is empty", "count", collection="drafts", value=0),
        case("peek answers there", "peek", collection="drafts", limit=10, vectors_true=0),
    ]
)
