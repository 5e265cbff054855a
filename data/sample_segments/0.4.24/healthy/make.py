# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==0.4.24", "numpy<2"]
# ///
"""A healthy l2 store of 0.4.24: 300 records, all flushed, the whole queue kept."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import records

sample = Sample(__file__, "Healthy, l2: 300 records, all flushed, the whole queue kept.")
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=60, batch_size=20)
    store.add("terms", records(), step=20)
sample.finish(works("terms", 300))
