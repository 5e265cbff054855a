"""index_metadata.pickle byte for byte as 1.x writes it: no memo, every number in four bytes, each dict in a single run."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Mapping
from typing import Any


def modern_map(
    id_to_label: Mapping[str, int],
    label_to_id: Mapping[int, str] | None = None,
    *,
    total: int | None = None,
    max_seq_id: int | None = None,
    seed: int | None = None,
) -> bytes:
    """The file of these dicts (the second by default the inverse of the first); with a `seed` in the order of nothing, as
    1.x leaves it, which keeps them in hash tables."""
    back = label_to_id if label_to_id is not None else {label: name for name, label in id_to_label.items()}
    head = {
        "dimensionality": None,
        "total_elements_added": total or len(id_to_label),
        "max_seq_id": max_seq_id,
    }
    forward = (_text(name) + _number(label) for name, label in _shuffled(id_to_label.items(), seed))
    backward = (_number(label) + _text(name) for label, name in _shuffled(back.items(), seed))
    return b"".join(
        [
            b"\x80\x03}(",
            *(_text(name) + _number(value) for name, value in head.items()),
            *(_text("id_to_label"), b"}(", *forward, b"u"),
            *(_text("label_to_id"), b"}(", *backward, b"u"),
            *(_text("id_to_seq_id"), b"}(uu."),
        ]
    )


def _shuffled(pairs: Iterable[tuple[Any, Any]], seed: int | None) -> list[tuple[Any, Any]]:
    found = list(pairs)
    if seed is not None:
        random.Random(seed).shuffle(found)
    return found


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _number(value: int | None) -> bytes:
    return b"N" if value is None else b"J" + struct.pack("<i", value)
