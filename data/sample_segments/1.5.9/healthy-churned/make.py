# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""A healthy l2 store with deletes, updates, upserts, ids that came back, and a pending tail of every kind."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import Record, records


def revised(part: tuple[Record, ...]) -> list[Record]:
    """The same records with a longer document, hence another vector."""
    return [replace(record, document=f"{record.document} Revised.") for record in part]


sample = Sample(
    __file__, "Healthy, l2: deletes, updates, upserts, returned ids, and a pending tail of every kind."
)
texts = records()
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=50)
    store.add("terms", texts[:250], step=25)
    store.delete("terms", [record.id for record in texts[10:35]])
    store.add("terms", revised(texts[100:125]), how="update")
    store.add("terms", texts[20:30])  # ids that were deleted come back with a new label
    store.add("terms", [*revised(texts[200:215]), *texts[250:275]], how="upsert", step=10)
    # from here on nothing is flushed
    store.delete("terms", [record.id for record in texts[40:45]])
    store.add("terms", revised(texts[60:65]), how="update")
    store.update_metadata("terms", {record.id: {"year": 2026} for record in texts[70:75]})
    store.add("terms", texts[275:290])
    store.add("terms", revised(texts[285:290]), how="upsert")
sample.finish(works("terms", len(sample.model.records["terms"])))
