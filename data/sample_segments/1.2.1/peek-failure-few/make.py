# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.2.1", "numpy"]
# ///
"""A complete index in which only the first five ids have no label: `peek(1)` fails, recall is untouched.

A home-made clean-up script took five ids out of `id_to_label` and forgot `label_to_id`. All 280 flushed
elements are in the graph and every label still leads to its id, so that searches find everything; what
starts from an id (get with embeddings, peek, filters) fails on those five.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.breaking import edit_id_map
from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

FEW = 5
sample = Sample(
    __file__, "A complete index whose id map lacks the first 5 ids: peek fails, searches find all 300."
)
texts = records()
first = [record.id for record in texts[:FEW]]


def forget(id_map: dict) -> None:
    """Takes the first ids out of one of the two maps."""
    for id in first:
        del id_map["id_to_label"][id]


with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=40)
    store.add("terms", texts, step=20)
edit_id_map(sample.directory() / "index_metadata.pickle", forget)

finding = "Error executing plan: Internal error: Error finding id"
others = [record.id for record in texts[FEW:]]
filtered = {"ontology": texts[0].metadata["ontology"]}
sample.finish(
    together(
        case("count answers", "count", value=300),
        case("peek of one fails", "peek", limit=1, error=finding),
        case("every document finds its record", "query", documents="all", k=3, finds_itself=300),
        case("get with embeddings answers on all others", "vectors", ids=others, vectors_true=300 - FEW),
        case("get with embeddings fails on those ids", "vectors", ids=first, error=finding),
        case(
            "a filter that lets one through fails",
            "query",
            documents=["x"],
            k=3,
            where=filtered,
            error=finding,
        ),
    )
)
