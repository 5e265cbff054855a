# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==0.6.3", "numpy<2"]
# ///
"""A healthy cosine store of 0.6.3: 300 records, 280 of them flushed, 20 pending in the queue."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import records

sample = Sample(__file__, "Healthy, cosine: 300 records, 280 flushed and 20 pending.")
with sample.builder() as store:
    store.create("terms", space="cosine", sync_threshold=40, batch_size=20)
    store.add("terms", records(), step=20)
sample.finish(works("terms", 300))
