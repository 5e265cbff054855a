# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""The end of link_lists.bin was lost, and the next flush made a sparse file of several gigabytes of it.

260 records are flushed; a power cut costs the file its last two size fields (8 bytes; a flush syncs
nothing). Opened again, the engine reads those sizes past the end, that is from uninitialised memory. 20
records arrive, and the flush seeks over that many bytes before it writes their lists. 15 more are pending.
The opening is repeated until the file is between 4 and 8 GiB long.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.breaking import cut, retried
from forensics.testing.builder import Engine, as_json
from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

GIB = 1 << 30
sample = Sample(__file__, "link_lists.bin is sparse and 4 GiB long or more, after a flush upon a torn one.")
texts = records()
with sample.builder() as store:
    store.create("terms", space="l2", sync_threshold=20)
    store.add("terms", texts[:260], step=20)
links = sample.directory() / "link_lists.bin"
cut(links, links.stat().st_size - 8)


def go_on() -> None:
    """The application goes on adding."""
    with Engine(sample.store) as engine:
        for start, end in ((260, 280), (280, 295)):
            rows = [as_json(record) for record in texts[start:end]]
            engine.call("write", collection="terms", how="add", records=rows)


def sparse_enough() -> bool:
    """4 to 8 GiB, nearly all of it a hole."""
    status = links.stat()
    return 4 * GIB <= status.st_size < 8 * GIB and status.st_blocks * 512 < 1 << 16


retried(sample.store, go_on, sparse_enough)
sample.model.write("terms", "add", texts[260:295])

sample.finish(
    together(
        case("count answers", "count", value=295, at_least={"link_lists.bin": 4 * GIB}),
        case("every vector comes back", "vectors", vectors_true=295),
        case("every document finds its record", "query", documents="all", k=3, finds_itself=295),
    )
)
