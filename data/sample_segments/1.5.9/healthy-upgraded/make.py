# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""A healthy store that 0.6.3 began and 1.5.9 went on with: BLOB and INTEGER sequence ids, old settings.

240 records were written by 0.6.3 (200 of them flushed), 60 by 1.5.9, which migrated the store when it
opened it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.engine.releases import release_python
from forensics.testing.sample import Sample
from forensics.testing.symptom import works
from forensics.testing.texts import records

sample = Sample(__file__, "Healthy, cosine: 240 records by 0.6.3, upgraded, then 60 more by 1.5.9.")
old = release_python("0.6.3", create=True)
assert old is not None
texts = records()
with sample.builder(old) as store:
    store.create("terms", space="cosine", sync_threshold=50, batch_size=20, M=8)
    store.add("terms", texts[:240], step=20)
with sample.builder() as store:
    store.add("terms", texts[240:], step=20)
sample.finish(works("terms", 300))
