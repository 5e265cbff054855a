# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""Three level-0 links point far past the last element: the engine dies on every call that touches the graph.

280 records are flushed, 20 are pending, so that even `count` replays rows through the graph. One bad link
is at the entry point, which every search passes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.breaking import entry_point, set_neighbour
from forensics.testing.sample import Sample
from forensics.testing.symptom import case
from forensics.testing.texts import records

sample = Sample(__file__, "Three links of level 0 point past the last element: the engine dies.")
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=40)
    store.add("terms", records(), step=20)
directory = sample.directory()
set_neighbour(directory, entry_point(directory), 0, 0x7F3A91C4)
set_neighbour(directory, 100, 2, 0xFFFFFFFF)
set_neighbour(directory, 200, 1, 0x40000000)

sample.finish(
    [
        case("count kills the engine", "count", dies="SIGSEGV"),
        case("peek kills the engine", "peek", limit=10, dies="SIGSEGV"),
        case("a query kills the engine", "query", documents="all", k=3, dies="SIGSEGV"),
        case("adding kills the engine", "write", how="add", fresh=1, dies="SIGSEGV"),
    ]
)
