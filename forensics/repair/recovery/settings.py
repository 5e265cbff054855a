"""The settings of a collection of which only the segment directory is left: M, ef and dimension stand in its header, the
space follows from its vectors and their lengths as far as it can be told.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.model import Json
from forensics.readers.layout import Header
from forensics.readers.settings import DEFAULTS, as_configuration
from forensics.store import Store, VectorSegment

SAMPLE, CLOSE, LONGEST = 2000, 1e-3, 1e6
COSINE = "every vector has length 1 and length.bin has the lengths that they came with: cosine"
UNIT = "every vector has length 1; cosine ranks them as l2 would"
OTHER = "vectors keep lengths of their own: l2 or ip, which no file tells"
NONE = "no vector can be read; l2 is what Chroma takes by itself"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a directory says of its settings, and in words why the space is taken for what it is."""

    space: str
    why: str
    dim: int | None
    M: int
    ef_construction: int

    @property
    def config(self) -> str:
        """collections.config_json_str as 1.0 to 1.2 write it, which later releases read too."""
        known = {"space": self.space, "M": self.M, "ef_construction": self.ef_construction}
        return json.dumps(as_configuration(known))

    @property
    def legacy(self) -> dict[str, str | int]:
        """The same as the keys of collection_metadata and segment_metadata of before 1.0."""
        return {"hnsw:space": self.space, "hnsw:M": self.M, "hnsw:construction_ef": self.ef_construction}


def judge(segment: VectorSegment) -> Judged:
    """The settings of a directory; what no file tells is Chroma's own default."""
    header = segment.files.geometry
    space, why = _space(segment)
    if not isinstance(header, Header):
        return Judged(space, why, None, DEFAULTS["M"], DEFAULTS["ef_construction"])
    return Judged(space, why, header.dim, header.M, header.ef_construction)


def judge_settings(store: Store, database: Path) -> list[dict[str, Json]]:
    """Before 1.0: segments of `database` whose space stands nowhere any more have the settings of their directory."""
    sql = (
        "SELECT c.id, c.name, s.id FROM segments s JOIN collections c ON c.id = s.collection WHERE s.scope = 'VECTOR'"
        " AND NOT EXISTS (SELECT 1 FROM segment_metadata m WHERE m.segment_id = s.id AND m.key = 'hnsw:space')"
        " AND NOT EXISTS (SELECT 1 FROM collection_metadata m WHERE m.collection_id = c.id AND m.key = 'hnsw:space')"
        " AND NOT EXISTS (SELECT 1 FROM migrations WHERE dir = 'metadb' AND version >= 5) ORDER BY c.name"
    )
    out: list[dict[str, Json]] = []
    with closing(sqlite3.connect(database)) as connection:
        for collection, name, segment in connection.execute(sql).fetchall():
            judged = judge(VectorSegment(segment, store.tree, segment))
            for key, value in judged.legacy.items():
                column = "str_value" if isinstance(value, str) else "int_value"
                for kind, owner in (("segment", segment), ("collection", collection)):
                    row = f"INSERT OR IGNORE INTO {kind}_metadata ({kind}_id, key, {column}) VALUES (?, ?, ?)"
                    connection.execute(row, (owner, key, value))
            out.append({"name": name, "space": judged.space, "why": judged.why})
        connection.commit()
    return out


def judge_collections(store: Store, database: Path) -> list[dict[str, Json]]:
    """Collections of `database` of which only id and name were left have settings again: those of their directory."""
    sql = (
        "SELECT c.id, c.name, s.id FROM collections c JOIN segments s ON s.collection = c.id AND s.scope = 'VECTOR'"
        " WHERE c.dimension IS NULL AND c.config_json_str = '{}' ORDER BY c.name"
    )
    out: list[dict[str, Json]] = []
    with closing(sqlite3.connect(database)) as connection:
        for collection, name, segment in connection.execute(sql).fetchall():
            judged = judge(VectorSegment(segment, store.tree, segment))
            settings = (judged.dim, judged.config, collection)
            connection.execute(
                "UPDATE collections SET dimension = ?, config_json_str = ? WHERE id = ?", settings
            )
            out.append({"name": name, "space": judged.space, "why": judged.why})
        connection.commit()
    return out


def _space(segment: VectorSegment) -> tuple[str, str]:
    summary, lengths = segment.files.summary, segment.files.lengths
    live = np.empty(0, np.int64) if isinstance(summary, Absent) else np.flatnonzero(summary.live)
    if not live.size or isinstance(segment.files.level0, Absent):
        return "l2", NONE
    chosen = live[:: max(1, live.size // SAMPLE)]
    norms = np.linalg.norm(segment.files.vectors(chosen).astype(np.float64), axis=1)
    if not bool(np.all(np.abs(norms - 1) < CLOSE)):
        return "l2", OTHER
    known = not isinstance(lengths, Absent) and len(lengths) > int(chosen[-1])
    came = np.asarray(lengths)[chosen] if known else np.ones(1)
    told = np.all(np.isfinite(came) & (came > CLOSE) & (came < LONGEST)) and np.any(np.abs(came - 1) > CLOSE)
    return "cosine", COSINE if told else UNIT
