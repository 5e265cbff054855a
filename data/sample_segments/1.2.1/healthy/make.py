# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.2.1", "numpy"]
# ///
"""A healthy l2 store of 1.2.1: 300 records, 280 flushed and 20 pending."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import records

sample = Sample(__file__, "Healthy, l2: 300 records, 280 flushed and 20 pending.")
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=70)
    store.add("terms", records(), step=10)
sample.finish(works("terms", 300))
