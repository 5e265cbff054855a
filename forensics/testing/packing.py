"""A store folder → the files and the manifest from which `forensics.samples` restores it exactly."""

from __future__ import annotations

import errno
import hashlib
import json
import lzma
import os
import shutil
import stat
from pathlib import Path
from typing import Any

PLAIN_UP_TO = 1024
Extents = list[tuple[int, int]]


def pack(store: Path, folder: Path, description: dict[str, Any]) -> None:
    """Afterwards `folder` holds `store/` (files plain or as .xz of their data extents) and manifest.json."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    entries = [_entry(store, path, folder) for path in [store, *sorted(store.rglob("*"))]]
    manifest = {"schema": 1, **description, "entries": entries}
    write_json(folder / "manifest.json", manifest)


def write_json(path: Path, value: Any) -> None:
    """Readable JSON with a newline at its end."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def data_extents(path: Path) -> Extents:
    """(offset, length) of the parts of a file that are not holes."""
    size, found, end = path.stat().st_size, [], 0
    with path.open("rb") as file:
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nothing but a hole is left
                    raise
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found.append((start, end - start))
    return found


def _entry(store: Path, path: Path, folder: Path) -> dict[str, Any]:
    status = path.lstat()
    common = {
        "path": path.relative_to(store).as_posix(),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "mtime_ns": status.st_mtime_ns,
    }
    if stat.S_ISDIR(status.st_mode):
        return {"type": "directory", **common}
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is neither a file nor a directory")
    return {"type": "file", **common, **_stored(store, path, folder)}


def _stored(store: Path, path: Path, folder: Path) -> dict[str, Any]:
    size, extents = path.stat().st_size, data_extents(path)
    data = _read(path, extents)
    target = folder / "store" / path.relative_to(store)
    packed = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME) if len(data) > PLAIN_UP_TO else data
    how = "xz" if len(packed) < len(data) else "plain"
    if how == "xz":
        target = target.with_name(f"{target.name}.xz")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(packed if how == "xz" else data)
    return {
        "size": size,
        "sha256": hashlib.sha256(data).hexdigest(),
        # null: no holes, the hash is that of the file; else that of these extents, one after another
        "extents": None if len(data) == size else extents,
        "stored": target.relative_to(folder).as_posix(),
        "encoding": how,
    }


def _read(path: Path, extents: Extents) -> bytes:
    with path.open("rb") as file:
        return b"".join(os.pread(file.fileno(), length, start) for start, length in extents)
