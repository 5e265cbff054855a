# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""A healthy cosine store of 1.5.9: 300 records, 250 of them flushed, 50 pending in the queue."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import records

sample = Sample(__file__, "Healthy, cosine: 300 records, 250 flushed and 50 pending.")
with sample.builder() as store:
    store.create("terms", space="cosine", sync_threshold=125)
    store.add("terms", records(), step=25)
sample.finish(works("terms", 300))
