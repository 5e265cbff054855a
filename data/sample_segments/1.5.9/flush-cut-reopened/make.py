# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""The sample flush-cut after the engine "healed" it: 20 elements without identity, link_lists.bin sparse.

Opening the cut store, the engine reads 300 elements from files that hold 280, applies the 20 queued rows
again and flushes: count and peek are right. The 20 elements between have label 0. Their link list sizes
were read past the end of link_lists.bin, that is from uninitialised memory, and the flush seeks over so
many bytes: the file becomes sparse, 18 to 200 GB long in our runs. Here the opening is repeated until it is
between 4 and 8 GiB.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.breaking import cut_flush, retried
from forensics.testing.builder import Engine
from forensics.testing.sample import Sample
from forensics.testing.symptom import case, elements, together
from forensics.testing.texts import records

GIB = 1 << 30
sample = Sample(__file__, "A cut flush, reopened: 20 elements without identity and a sparse link_lists.bin.")
texts = records()
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=20)
    store.add("terms", texts[:280], step=20)
directory = sample.directory()
cut_flush(store, "terms", directory, [texts[280:290], texts[290:300]])


def heal() -> None:
    """What an application does when it is started again."""
    with Engine(sample.store) as engine:
        assert engine.call("count", collection="terms") == 300
        assert len(engine.call("peek", collection="terms")["vectors"]) == 10


retried(sample.store, heal, lambda: 4 * GIB <= (directory / "link_lists.bin").stat().st_size < 8 * GIB)
segment = sample.segment()
assert elements(sample.store) == {segment: 320}

sample.finish(
    together(
        case("count answers", "count", value=300, at_least={"link_lists.bin": 4 * GIB}),
        case("peek answers", "peek", limit=10, vectors_true=10),
        case("every acknowledged vector comes back", "vectors", vectors_true=290),
    )
)
