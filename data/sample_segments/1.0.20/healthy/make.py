# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.0.20", "numpy"]
# ///
"""A healthy ip store of 1.0.20: 300 records, all flushed; room for 10,000."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import records

sample = Sample(__file__, "Healthy, ip: 300 records, all flushed; room for 10,000.")
with sample.builder() as store:
    store.create("terms", space="ip", sync_threshold=50)
    store.add("terms", records(), step=25)
sample.finish(works("terms", 300, finds_itself=False))
