# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy"]
# ///
"""Both watermarks are numbers that no queue ever reached, made by Chroma's own migration of an integer.

0.6.3 wrote 300 records (280 flushed, 20 pending). Someone "fixed" max_seq_id by turning its BLOBs into
integers before the upgrade; when 1.5.9 opened the store, its migration 00005 took the integers for BLOBs
and made the hex of their decimal digits of them. Nothing was called after that: the first call would purge
the queue, and with it the only copy of the 20 pending vectors.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from forensics.engine.releases import release_python
from forensics.testing.builder import Engine
from forensics.testing.sample import Sample
from forensics.testing.symptom import case, together
from forensics.testing.texts import records

sample = Sample(
    __file__, "Both watermarks poisoned by a migration of integers; 20 vectors are in the queue only."
)
old = release_python("0.6.3", create=True)
assert old is not None
texts = records()
with sample.builder(old) as store:
    store.create("terms", space="l2", sync_threshold=40, batch_size=20)
    store.add("terms", texts, step=20)
    vector, metadata = sample.segment(), sample.segment(scope="METADATA")
# what the "fix" did: the number that each 8-byte big-endian BLOB stands for
watermark = "update max_seq_id set seq_id = {} where segment_id = '{}' and hex(seq_id) = '{:016X}'"
sample.sql(watermark.format(280, vector, 280), watermark.format(300, metadata, 300))
with Engine(sample.store) as engine:
    engine.call("open")
poisoned = {vector: 0x1111111111323830, metadata: 0x1111111111333030}  # the digits 280 and 300 in ASCII
assert dict(sample.rows("select segment_id, seq_id from max_seq_id")) == poisoned
assert sample.rows("select min(seq_id), max(seq_id) from embeddings_queue") == [(280, 300)]

finding = "Error executing plan: Internal error: Error finding id"
pending = texts[290]
added = case("a new record is taken and never seen", "count", value=300)
added["calls"].insert(0, {"call": "write", "collection": "terms", "how": "add", "fresh": 5})
sample.finish(
    together(
        case("count answers", "count", value=300),
        case("peek answers, as the first records are whole", "peek", limit=10, vectors_true=10),
        case("get with embeddings fails on a pending id", "vectors", ids=[pending.id], error=finding),
        case("queries never find the pending 20", "query", documents="all", k=3, finds_itself=280),
        added,
    )
)
