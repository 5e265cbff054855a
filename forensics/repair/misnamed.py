"""Ids that SQLite and the id map write differently: with blanks, control or zero-width characters in one of them alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from forensics.absent import Absent
from forensics.checks.id_text import trimmed
from forensics.readers.id_map import IdMap
from forensics.store import Collection


def misnamed(collection: Collection) -> dict[str, str]:
    """id of the map, which has no record → the id of the record that is meant: it has no vector, and read without
    blanks the two are the same, and nobody else's.
    """
    records = collection.records
    if isinstance(records, Absent) or not records.ghosts:
        return {}
    lacking, ghosts = _by_reading(records.ids(records.missing)), _by_reading(records.ghosts)
    return {ghosts[read]: lacking[read] for read in ghosts.keys() & lacking.keys() if read}


def _by_reading(names: Sequence[str]) -> dict[str, str]:
    """What a reader sees → the only one of these ids that reads so."""
    read = [trimmed(name) for name in names]
    count = Counter(read)
    return {text: name for text, name in zip(read, names, strict=True) if count[text] == 1}


def with_names(id_map: IdMap, names: Mapping[str, str]) -> IdMap:
    """The same map with these ids (old → new) renamed, in both its halves."""
    labels = {names.get(name, name): label for name, label in id_map.id_to_label.items()}
    return replace(
        id_map,
        id_to_label=labels,
        label_to_id={label: name for name, label in labels.items()},
        id_to_seq_id={names.get(name, name): seq for name, seq in id_map.id_to_seq_id.items()},
    )
