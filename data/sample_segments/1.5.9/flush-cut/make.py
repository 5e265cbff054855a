# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""The engine was killed at its first write to data_level0.bin in a flush: the header is ahead of the files.

280 records are flushed. 20 more arrive in two calls of 10; the second call starts a flush, which writes the
header (300 elements) and dies by SIGKILL before the first element is written. All 20 rows are still queued;
the second ten were never acknowledged.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.breaking import cut_flush
from forensics.testing.sample import Sample
from forensics.testing.symptom import case, elements, together
from forensics.testing.texts import records

sample = Sample(
    __file__, "Killed at the first write of level 0 in a flush: header ahead, the rows still queued."
)
texts = records()
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=20)
    store.add("terms", texts[:280], step=20)
cut_flush(store, "terms", sample.directory(), [texts[280:290], texts[290:300]])
segment = sample.segment()
assert elements(sample.store) == {segment: 300}

sample.finish(
    together(
        case(
            "count answers, and leaves 20 elements without a label",
            "count",
            value=300,
            elements={segment: 320},
        ),
        case("every acknowledged vector comes back", "vectors", vectors_true=290),
    )
)
