"""The files of an export: a line, an array or a row per record; each appears whole or not at all, over no other."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from forensics.errors import MissingPackage, Refused, UsageError

FORMS = ("jsonl", "npz", "parquet")
Item = dict[str, Any]


def require(form: str) -> None:
    """Raises UsageError for a form that does not exist, MissingPackage for one that lacks its package."""
    if form not in FORMS:
        raise UsageError(f"An export is {', '.join(FORMS)}, not {form!r}.")
    if form == "parquet" and find_spec("pyarrow") is None:
        raise MissingPackage("pyarrow", "An export to Parquet")


class Appearing:
    """A file beside `target` to be written, which takes its name at the end; nothing is left of it on failure."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __enter__(self) -> Path:
        if os.path.lexists(self.target):
            raise Refused(f"{self.target} exists already; an export never overwrites.")
        try:
            descriptor, name = tempfile.mkstemp(prefix=f".{self.target.name[:100]}.", dir=self.target.parent)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise UsageError(f"Nothing can be written in {self.target.parent}: {error.strerror}.") from error
        os.close(descriptor)
        self.partial = Path(name)
        return self.partial

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                os.link(self.partial, self.target)  # fails where the name is taken: a rename would overwrite
        except FileExistsError as error:
            raise Refused(f"{self.target} exists already; an export never overwrites.") from error
        finally:
            self.partial.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    """`value` as strict JSON holds it: what is no finite number is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value


def _jsonl(items: Iterator[Item], target: Path) -> None:
    """One JSON object per line; the vector as a list of numbers."""
    with open(target, "w", encoding="utf-8") as handle:
        for item in items:
            vector = None if item["vector"] is None else item["vector"].tolist()
            handle.write(json.dumps(_finite({**item, "vector": vector}), ensure_ascii=True) + "\n")


def _npz(items: Iterator[Item], target: Path) -> None:
    """Columns: collection, id, document, metadata (JSON), source, current, reason, state; vectors (n, dim), rows of NaN
    where there is none; shorter vectors of another collection are filled up with NaN."""
    listed = list(items)
    width = max((len(item["vector"]) for item in listed if item["vector"] is not None), default=0)
    vectors = np.full((len(listed), width), np.nan, np.float32)
    for row, item in enumerate(listed):
        if item["vector"] is not None:
            vectors[row, : len(item["vector"])] = item["vector"]
    names = ("collection", "id", "document", "source", "reason", "state")
    texts = {name: np.array([str(item[name] or "") for item in listed], dtype=np.str_) for name in names}
    metadata = np.array([json.dumps(_finite(item["metadata"])) for item in listed], dtype=np.str_)
    current = np.array([item["current"] is True for item in listed], dtype=bool)
    with open(target, "wb") as handle:
        np.savez_compressed(
            handle, allow_pickle=False, **texts, vectors=vectors, metadata=metadata, current=current
        )


def _parquet(items: Iterator[Item], target: Path) -> None:
    """One row per record; metadata as JSON. Text that is not UTF-8 has its bytes escaped."""
    import pandas as pd

    rows = [{**item, "metadata": json.dumps(_finite(item["metadata"]))} for item in items]
    frame = pd.DataFrame(rows, columns=[*_COLUMNS])
    for name in ("collection", "id", "document"):
        frame[name] = [None if text is None else _encodable(str(text)) for text in frame[name]]
    frame.to_parquet(target, index=False)


_COLUMNS = ("collection", "id", "document", "metadata", "vector", "source", "current", "reason", "state")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


WRITERS = {"jsonl": _jsonl, "npz": _npz, "parquet": _parquet}
