"""Whether what was embedded again, or given another vector, is found by its own text."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import numpy as np

from forensics.absent import Absent
from forensics.engine import native_query
from forensics.engine.mapped import fits_natively, mapped_query
from forensics.errors import ForensicsError, MissingPackage
from forensics.model import Test
from forensics.repair.draft import Draft
from forensics.repair.embedding import Embedder
from forensics.repair.user_documents import OwnDocuments
from forensics.sources import documents
from forensics.store import Collection
from forensics.witness import same_vectors

K = 10
ASKED = 200
"""How many of those that were embedded again are queried by their text."""


def found_by_text(
    draft: Draft, new: Collection, ids: Sequence[str], embedder: Embedder, own: OwnDocuments
) -> Test:
    """Each of these records that is indexed and has a document (in SQLite, or in `own`) is among the ten nearest to what
    the embedder makes of it, and carries that vector.
    """
    name = f"{new.name}: what was embedded again or replaced is found by its text"
    try:
        asked, missed = _asked(draft, new, ids, embedder, own)
    except MissingPackage as error:
        return Test(name=name, passed=True, detail=f"skipped: {error}")
    except ForensicsError as error:
        return Test(name=name, passed=False, detail=str(error))
    detail = f"{asked - len(missed)} of {asked} (k = {K}, ef 200; equal vectors count)"
    if missed:
        detail += f"; not found: {', '.join(missed[:K])}"
    return Test(name=name, passed=not missed, detail=detail, count=asked)


def _asked(
    draft: Draft, new: Collection, ids: Sequence[str], embedder: Embedder, own: OwnDocuments
) -> tuple[int, list[str]]:
    """(how many were asked, the ids that are not found)."""
    records, segment = new.records, new.vector
    if isinstance(records, Absent) or isinstance(segment, Absent):
        return 0, []
    geometry = segment.files.geometry
    texts = dict(zip(ids, own.fill(ids, documents(new, ids)), strict=True))
    rows = [new.row_of[name] for name in ids if texts[name] and name in new.row_of]
    at = np.array([row for row in rows if records.indexed[row]], dtype=np.int64)
    if isinstance(geometry, Absent) or not at.size:
        return 0, []
    names = [records.rows.ids[row] for row in at.tolist()]
    made = embedder([texts[name] or "" for name in names], geometry.dim)
    stored = segment.files.vectors(records.elements[at])
    _, same = same_vectors(made, stored, scaled=new.settings.space != "cosine")
    near = _nearest(draft, new, segment.relative, made)
    found = (near == records.labels[at][:, None]).any(axis=1) | _equalled(new, near, made, stored)
    return len(at), [name for name, good in zip(names, (found & same).tolist(), strict=True) if not good]


def _nearest(draft: Draft, new: Collection, relative: str, made: np.ndarray) -> np.ndarray:
    """(n, K) labels; on maps where hnswlib could not load the index."""
    there = draft.resolve(relative)
    if not fits_natively(there):
        return mapped_query(there, new.settings.space, made.shape[1], made, k=K)
    folder = draft.scratch / "by-text"
    try:
        directory = draft.materialise(folder, relative)
        return native_query(directory, new.settings.space, made.shape[1], made, k=K)
    finally:
        shutil.rmtree(draft.scratch, ignore_errors=True)


def _equalled(new: Collection, near: np.ndarray, made: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """(n,) bool: one of those found carries the very same vector; or, by inner product, all found are as near."""
    segment = new.vector
    if isinstance(segment, Absent) or isinstance(segment.files.summary, Absent):
        return np.zeros(len(near), dtype=bool)
    held = segment.files.summary.labels.astype(np.int64)
    order = np.argsort(held, kind="stable")
    at = order[np.minimum(np.searchsorted(held[order], near), len(held) - 1)]
    vectors = segment.files.vectors(at.ravel()).reshape(*near.shape, -1)
    equal = (vectors == stored[:, None, :]).all(axis=2).any(axis=1)
    if new.settings.space != "ip":
        return equal
    nearness = np.einsum("nkd,nd->nk", vectors, made)
    return equal | (nearness.min(axis=1) >= np.einsum("nd,nd->n", stored, made) - 1e-5)
