"""What every action has at hand: the draft read as the store that it will be, its files for writing, the
case.
"""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from forensics.absent import Absent
from forensics.errors import NoSpace, Refused
from forensics.evidence import safe_name, write_rows
from forensics.handles import Handles
from forensics.model import Action, Json
from forensics.readers import layout
from forensics.readers.database import DATABASE
from forensics.readers.id_map import IdMap
from forensics.repair.adding import MAPPED
from forensics.repair.draft import Draft, DraftContext
from forensics.repair.embedding import Embedder
from forensics.repair.foreign import UNMAP
from forensics.repair.options import RepairOptions
from forensics.repair.provenance import PROVENANCE
from forensics.repair.site import Site
from forensics.seal import hash_file
from forensics.store import Collection, Store, VectorSegment
from forensics.writers.id_map import write_id_map

load_embedder = lru_cache(maxsize=4)(Embedder.of)


class OwnStore(Store):
    """A draft, read as the store that it will be, or the original, whose lock `apply` holds: nobody else has
    it open.
    """

    @cached_property
    def handles(self) -> Handles:
        return Handles()


@contextmanager
def open_draft(draft: Draft) -> Generator[OwnStore]:
    """The draft as a store, closed after the block."""
    store = OwnStore(draft.store, tree=draft.tree())
    try:
        yield store
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class Work:
    """One action at work on `store`, which reads the draft as it stood when the action began."""

    context: DraftContext
    action: Action
    options: RepairOptions
    store: OwnStore

    @property
    def draft(self) -> Draft:
        return self.context.draft

    def collection(self) -> Collection:
        """The collection that the action is about."""
        if self.action.collection is None:
            raise Refused(f"{self.action.kind} names no collection.")
        return self.store.collection(self.action.collection)

    def site(self) -> Site:
        """That collection under repair, with the embedder that the plan named."""
        embedder, codes = load_embedder(self.options), set(self.context.plan.findings)
        if not self._corrects():
            codes.discard("CF505")
        return Site(self.collection(), self.options, embedder, frozenset(codes), self._unmapped())

    def on_maps(self) -> bool:
        """True where the plan adds to the index of the collection on maps, since it does not fit into memory."""
        return any(
            action.parameters.get("add") == MAPPED
            for action in self.context.plan.approved
            if action.collection == self.action.collection
        )

    def _corrects(self) -> bool:
        """True where the plan takes foreign vectors off the ids of the collection, one by one or by a new index."""
        return any(
            "CF505" in action.codes and action.kind in (UNMAP, "rebuild-segment", "compact-segment")
            for action in self.context.plan.approved
            if action.collection == self.action.collection
        )

    def _unmapped(self) -> frozenset[str]:
        """The ids that were taken off foreign vectors, as the case has it."""
        path = self.context.case.evidence(unmapped_file(self.action.collection or ""))
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return frozenset(json.loads(line)["id"] for line in lines)

    # --- files ----------------------------------------------------------------------------------------------

    def changeable(self, segment: VectorSegment, *names: str) -> Path:
        """The draft's folder of that segment, with private copies of these files (those that exist)."""
        for name in names:
            if not isinstance(segment.facts[name], Absent):
                self.draft.copy_in(f"{segment.relative}/{name}")
        return self.place(segment, names[0]).parent

    def place(self, segment: VectorSegment, name: str) -> Path:
        """Where a file of that segment is written in the draft; a file that is there already is not copied
        first.
        """
        return self.draft.new(f"{segment.relative}/{name}")

    def whole(self, segment: VectorSegment) -> Path:
        """The draft's private copy of the whole directory of that segment."""
        return self.draft.copy_in(segment.relative)

    def save_map(self, site: Site, id_map: IdMap) -> None:
        """The draft holds that id map, in its own dialect."""
        segment = site.segment
        if segment is None:
            raise Refused("there is no vector segment to write an id map for.")
        write_id_map(self.place(segment, layout.ID_MAP_FILE), id_map)

    @contextmanager
    def database(self) -> Generator[sqlite3.Connection]:
        """The draft's own copy of the database, in one transaction that is committed after the block."""
        path = self.draft.copy_in(DATABASE)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if "full" in str(error):
                raise NoSpace("The disk became full while the draft's database was changed.") from error
            raise Refused(f"SQLite refused a change of the draft: {error}.") from error
        finally:
            connection.close()

    # --- the case -------------------------------------------------------------------------------------------

    def evidence(self, stem: str, suffix: str) -> Path:
        """The path of a file of evidence of this action; a rerun writes it anew."""
        parts = [stem, self.action.collection or "", self.action.kind]
        return self.context.case.evidence(safe_name("-".join(part for part in parts if part)) + suffix)

    def keep_rows(self, stem: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
        """A CSV file in the case."""
        return write_rows(self.evidence(stem, ".csv"), header, rows)

    def keep_records(self, stem: str, records: Iterable[Mapping[str, Json]]) -> Path:
        """JSON lines in the case, from which what was taken out can be put back."""
        path = self.evidence(stem, ".jsonl")
        with open(path, "w", encoding="utf-8") as handle:
            handle.writelines(json.dumps(plain(record), ensure_ascii=True) + "\n" for record in records)
        return path

    def keep_provenance(self, rows: Iterable[Sequence[object]]) -> Path:
        """Where each record that this action brought back comes from."""
        return self.keep_rows("provenance", PROVENANCE, rows)

    def tell(self, text: str, share: float) -> None:
        """Progress, 0 to 1."""
        if self.context.progress is not None:
            self.context.progress(text, share)


def unmapped_file(collection: str) -> str:
    """The name of the evidence of UNMAP."""
    return safe_name(f"unmapped-{collection}-{UNMAP}") + ".jsonl"


def digests(place: Callable[[str], Path]) -> dict[str, str]:
    """SHA-256 of the files of a segment that a search reads; `place` gives the path of each."""
    return {
        name: hash_file(place(name))[0]
        for name in (layout.HEADER_FILE, layout.LEVEL0_FILE, layout.LINKS_FILE)
    }


def plain(value: Any) -> Json:
    """JSON for whatever a row can hold; bytes as {"base64": …}."""
    if isinstance(value, bytes):
        return {"base64": b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.item() if hasattr(value, "item") and not isinstance(value, str) else value


def with_ids(id_map: IdMap, id_to_label: dict[str, int], total: int) -> IdMap:
    """The same map with these labels, both halves each other's inverse, and that counter."""
    kept = {name: seq for name, seq in id_map.id_to_seq_id.items() if name in id_to_label}
    inverse = {label: name for name, label in id_to_label.items()}
    return replace(
        id_map, id_to_label=id_to_label, label_to_id=inverse, id_to_seq_id=kept, total_elements_added=total
    )


def new_map(site: Site, id_to_label: dict[str, int], total: int, watermark: int | None) -> IdMap:
    """A map in the dialect of the store: a bare dict for 1.x, an instance of PersistentData before.

    Before 0.5.6 (no max_seq_id row of the vector segment) the watermark is only in the map.
    """
    modern = site.collection.store.is_modern
    has_row = not isinstance(site.collection.vector_watermark_row, Absent)
    return IdMap(
        form="dict" if modern else "class",
        dimensionality=None if modern else site.dim,
        total_elements_added=total,
        max_seq_id=None if modern or has_row else watermark,
        has_max_seq_id=modern or not has_row,
        id_to_label=id_to_label,
        label_to_id={label: name for name, label in id_to_label.items()},
        id_to_seq_id={},
    )
