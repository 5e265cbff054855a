"""The order of the log before 1.0, which is one of blocks: a batch of records got a batch of labels, in any order inside.

It proves nothing alone. Where an embedder finds several elements for a document, it tells which of them can be meant.
"""

from __future__ import annotations

import numpy as np

from forensics.absent import Absent
from forensics.repair.pairing import Pairing
from forensics.repair.proof_order import CONFIRMATIONS


def blocks(work: Pairing) -> tuple[dict[str, int], np.ndarray] | None:
    """(id → block, (elements,) block of each element) where every known pair agrees; None where they prove nothing.

    Only of blocks in which a pair is known, and only where nothing was deleted: then the rows of SQLite and the labels
    go up together, batch by batch.
    """
    rows, labels = work.collection.rows, work.summary.labels.astype(np.int64)
    size = work.collection.settings.batch_size
    if work.collection.store.is_modern or isinstance(rows, Absent) or work.summary.deleted.any() or size < 1:
        return None
    of_element = (labels - 1) // size
    of_id = {name: row // size for row, name in enumerate(rows.ids)}
    known = {name: element for name, element in work.pairs().items() if name in of_id}
    agreed = sum(of_id[name] == of_element[element] for name, element in known.items())
    if agreed < min(CONFIRMATIONS, len(rows)) or agreed < len(known):
        return None
    seen = {of_id[name] for name in known}
    return {name: block for name, block in of_id.items() if block in seen}, of_element
