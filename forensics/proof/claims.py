"""What a case claims of each touched collection before and after: counts, and digests of ids and of vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.case import Case
from forensics.evidence import safe_name
from forensics.model import Json, Plan
from forensics.proof.standalone import BLOCK, fingerprint
from forensics.readers.hnsw import HnswFiles
from forensics.readers.id_map import IdMap
from forensics.readers.layout import Header
from forensics.records import elements_of
from forensics.repair.effects import reachable
from forensics.segment import VectorSegment
from forensics.store import Collection, Store

CLAIMS = "evidence/claims.json"
SET_ASIDE = ("set-aside-records", "delete-ids")


def write_claims(case: Case, plan: Plan, touched: Iterable[str], before: Store, after: Store) -> None:
    """The case holds what is claimed of these collections, for `proof.json`."""
    case.evidence("claims.json")
    rows = [_claim(case, plan, before, after.collection(name)) for name in touched]
    case.write_json(CLAIMS, [row for row in rows if row is not None])


def _claim(case: Case, plan: Plan, before: Store, new: Collection) -> Json:
    """One collection; None where its records cannot be read even now."""
    if isinstance(new.rows, Absent):
        return None
    old = next((each for each in before.collections if each.id == new.id), None)
    return {
        "name": new.name,
        "id": new.id,
        "space": new.settings.space,
        "before": {} if old is None else side_of(old),
        "after": side_of(new),
        "ghosts": 0 if isinstance(new.records, Absent) else len(new.records.ghosts),
        "lost": _there(case, f"lost-{new.name}", ".csv"),
        "provenance": _there(case, f"provenance-{new.name}", ".csv"),
        "renamed": _there(case, f"trimmed-ids-{new.name}-trim-ids", ".csv"),
        "set_aside": _several(case, [f"set-aside-{new.name}-{kind}" for kind in SET_ASIDE]),
        "added": _several(case, [f"restored-{new.name}-restore-quarantined"]),
        "replaced": _several(case, _replaced(new.name)),
    }


def _replaced(name: str) -> list[str]:
    """The evidence of vectors that a repair replaced or took away from an id."""
    kinds = [f"replaced-{how}-{name}-replace-vectors" for how in ("queue", "normalised", "zero")]
    return [*kinds, f"unmapped-{name}-unmap-foreign-vectors"]


def _there(case: Case, stem: str, suffix: str) -> str | None:
    name = f"evidence/{safe_name(stem)}{suffix}"
    return name if case.has(name) else None


def _several(case: Case, stems: Sequence[str]) -> list[str]:
    return [name for stem in stems if (name := _there(case, stem, ".jsonl")) is not None]


def side_of(collection: Collection) -> dict[str, Json]:
    """`Side.told()` of the program in the case, by our own readers; without an index that is plain, only the ids."""
    rows = collection.rows
    if isinstance(rows, Absent):
        return {}
    ids = sorted(set(rows.ids))
    told: dict[str, Json] = {"records": len(ids), "ids": fingerprint(ids)}
    count = reachable(collection)
    found = _indexed(collection) if count is not None else None
    return {**told, "known": count, **({} if found is None else {"reachable": count, **found})}


def _indexed(collection: Collection) -> dict[str, Json] | None:
    """How many ids have a live element, and the digest of both; None where the files do not say so plainly."""
    segment, id_map = collection.vector, collection.id_map
    if isinstance(segment, Absent):
        return None
    if segment.state in ("absent", "stub"):
        return {"indexed": 0, "vectors": hashlib.sha256().hexdigest()}
    files = segment.files
    summary = files.summary
    if not _is_plain(segment, files) or isinstance(summary, Absent) or not isinstance(id_map, IdMap):
        return None
    elements = elements_of(id_map.labels(), summary)
    live = (elements >= 0) & (id_map.size > 0)
    live[live] = ~summary.deleted[elements[live]]
    names, held = _in_order(list(id_map.id_to_label), np.flatnonzero(live), elements[live])
    return {"indexed": len(held), "vectors": _digest(files, names, held)}


def _in_order(names: list[str], at: np.ndarray, elements: np.ndarray) -> tuple[list[str], np.ndarray]:
    """(ids, elements) of the places `at`, by element, and by id where two have one element."""
    order = np.argsort(elements, kind="stable")
    ordered, held = [names[place] for place in at[order].tolist()], elements[order]
    if (np.diff(held) == 0).any():
        ordered = [name for _, name in sorted(zip(held.tolist(), ordered, strict=True))]
    return ordered, held


def _is_plain(segment: VectorSegment, files: HnswFiles) -> bool:
    """True where header.bin says what level 0 is, so that it can be read without knowing better."""
    header = segment.files.header
    if not isinstance(header, Header) or isinstance(files.level0, Absent):
        return False
    plain = header.offset_data == 4 + 8 * header.M and header.size_data_per_element == header.label_offset + 8
    return plain and len(files.level0) == header.cur_element_count


def _digest(files: HnswFiles, names: list[str], elements: np.ndarray) -> str:
    """SHA-256 over blocks of ids in the order of their elements: the ids of a block, then its vectors."""
    sha = hashlib.sha256()
    for start in range(0, len(names), BLOCK):
        sha.update(fingerprint(names[start : start + BLOCK]).encode())
        sha.update(files.vectors(elements[start : start + BLOCK]).data)
    return sha.hexdigest()


def program() -> bytes:
    """The text of `verify.py` as it is put into a case."""
    return (Path(__file__).parent / "standalone.py").read_bytes()
