# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==0.5.23", "numpy<2"]
# ///
"""A healthy ip store of 0.5.23: 300 records, 240 flushed and 60 pending."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import records

sample = Sample(__file__, "Healthy, ip: 300 records, 240 flushed and 60 pending.")
with sample.builder() as store:
    store.create("terms", space="ip", sync_threshold=80, batch_size=20)
    store.add("terms", records(), step=20)
sample.finish(works("terms", 300, finds_itself=False))
