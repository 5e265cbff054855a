# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""index_metadata.pickle was cut at three fifths: the disk was full when the id map was written.

280 records are flushed, 20 are pending; cosine, so that length.bin holds the norms.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.testing.breaking import cut
from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

sample = Sample(__file__, "The id map of a cosine index ends in the middle: every call fails.")
with sample.builder() as store:
    store.create("terms", space="cosine", sync_threshold=40)
    store.add("terms", records(), step=20)
id_map = sample.directory() / "index_metadata.pickle"
cut(id_map, id_map.stat().st_size * 3 // 5)

fails = "Error deserializing pickle file: eval error at offset"
sample.finish(
    together(
        case("count fails", "count", error=fails),
        case("get fails", "ids", error=fails),
        case("peek fails", "peek", limit=10, error=fails),
        case("queries fail", "query", documents=["a cell"], k=3, error=fails),
        case("adding fails", "write", how="add", fresh=1, error=fails),
    )
)
