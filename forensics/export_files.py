"""The files of an export: a line, an array or a row per record; each appears whole or not at all, over no other."""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
from array import array
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from forensics.errors import MissingPackage, Refused, UsageError

FORMS = ("jsonl", "npz", "parquet")
ROWS = 5_000
"""Rows of a file that are made at once."""
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
    where there is none; shorter vectors of another collection are filled up with NaN.

    The rows are spooled beside `target` first: how many there are, and how long the longest text is, stands before each
    column.
    """
    with tempfile.TemporaryDirectory(prefix=".spooled-", dir=target.parent) as folder, ExitStack() as held:
        spool = Spool(Path(folder), held)
        for item in items:
            spool.add(item)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            spool.write(archive)


class Spool:
    """Rows on the disk, a file for each column; in memory are only their count and their widths."""

    TEXTS = ("collection", "id", "document", "source", "reason", "state", "metadata")

    def __init__(self, folder: Path, held: ExitStack) -> None:
        names = (*self.TEXTS, "current", "vectors")
        self._files = {name: held.enter_context((folder / name).open("w+b")) for name in names}
        self._longest = dict.fromkeys(self.TEXTS, 1)
        self._dims = array("I")

    def add(self, item: Item) -> None:
        """One more row."""
        for name in self.TEXTS:
            text = json.dumps(_finite(item[name])) if name == "metadata" else str(item[name] or "")
            self._longest[name] = max(self._longest[name], len(text))
            self._files[name].write(json.dumps(text).encode() + b"\n")
        self._files["current"].write(b"\1" if item["current"] is True else b"\0")
        self._dims.append(0 if item["vector"] is None else len(item["vector"]))
        if item["vector"] is not None:
            self._files["vectors"].write(np.ascontiguousarray(item["vector"], np.float32).tobytes())

    def write(self, archive: zipfile.ZipFile) -> None:
        """Every column is a member of the archive, as `numpy.load` reads it."""
        for name in self.TEXTS:
            dtype = np.dtype(f"<U{self._longest[name]}")
            self._member(archive, name, dtype, (), self._texts(name, dtype))
        self._member(archive, "current", np.dtype(np.bool_), (), self._flags())
        width = max(self._dims, default=0)
        self._member(archive, "vectors", np.dtype(np.float32), (width,), self._vectors(width))

    def _texts(self, name: str, dtype: np.dtype[Any]) -> Iterator[np.ndarray]:
        lines = self._files[name]
        lines.seek(0)
        while part := list(islice(lines, ROWS)):
            yield np.array([json.loads(line) for line in part], dtype)

    def _flags(self) -> Iterator[np.ndarray]:
        flags = self._files["current"]
        flags.seek(0)
        while raw := flags.read(1 << 20):
            yield np.frombuffer(raw, np.bool_)

    def _vectors(self, width: int) -> Iterator[np.ndarray]:
        """(k, width) rows, a part at a time."""
        handle = self._files["vectors"]
        handle.seek(0)
        for start in range(0, len(self._dims), ROWS):
            dims = self._dims[start : start + ROWS]
            part = np.full((len(dims), width), np.nan, np.float32)
            for row, dim in enumerate(dims):
                part[row, :dim] = np.frombuffer(handle.read(4 * dim), np.float32)
            yield part

    def _member(
        self,
        archive: zipfile.ZipFile,
        name: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        parts: Iterator[np.ndarray],
    ) -> None:
        described = {"descr": dtype.str, "fortran_order": False, "shape": (len(self._dims), *shape)}
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, described)
            for part in parts:
                member.write(part.tobytes())


def _parquet(items: Iterator[Item], target: Path) -> None:
    """One row per record, written in parts; metadata as JSON. Text that is not UTF-8 has its bytes escaped."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {"vector": pa.list_(pa.float32()), "current": pa.bool_()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in _COLUMNS])
    with parquet.ParquetWriter(target, schema) as writer:
        while rows := list(islice(items, ROWS)):
            columns = {name: [_cell(name, row[name]) for row in rows] for name in _COLUMNS}
            writer.write_table(pa.table(columns, schema=schema))


def _cell(name: str, value: Any) -> Any:
    if name == "metadata":
        return json.dumps(_finite(value))
    return _encodable(str(value)) if value is not None and name not in ("vector", "current") else value


_COLUMNS = ("collection", "id", "document", "metadata", "vector", "source", "current", "reason", "state")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


WRITERS = {"jsonl": _jsonl, "npz": _npz, "parquet": _parquet}
