"""The sample stores by name, restored exactly into a scratch folder.

A sample is a small store that a real Chroma release wrote and that was then damaged (or left alone), kept as
`data/sample_segments/<chroma version>/<name>/` of a checkout. Its name is `1.2.1/peek-failure`, or
`peek-failure` where that says enough.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.errors import CannotComplete, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VARIABLE = "FORENSICS_SAMPLES"


class UnknownSample(UsageError):
    """There is no sample of that name, or several, or no samples are installed."""


class SampleDamaged(CannotComplete):
    """A file of a sample is not what its manifest says."""


@dataclass(frozen=True, slots=True)
class CollectionTruth:
    """What the user of a sample believes one collection to hold; row i of `vectors` belongs to `ids[i]`.

    `vectors` is float32 of shape (n, dimension), as the user gave them (before any normalising).
    `in_doubt` are ids of a write that was killed before it was acknowledged: either is fine.
    """

    name: str
    space: str
    ids: tuple[str, ...]
    documents: tuple[str, ...]
    metadatas: tuple[dict[str, Any], ...]
    vectors: NDArray[np.float32]
    in_doubt: tuple[str, ...]


def names() -> list[str]:
    """Every sample as `<chroma version>/<name>`, oldest release first."""
    found = [path.parent.relative_to(root()).as_posix() for path in root().glob("*/*/manifest.json")]
    return sorted(found, key=lambda name: ([int(n) for n in name.split("/")[0].split(".")], name))


def root() -> Path:
    """The folder of the samples: `$FORENSICS_SAMPLES`, else that of the checkout that this package is in."""
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else Path(__file__).resolve().parents[1] / "data" / "sample_segments"
    if not folder.is_dir():
        raise UnknownSample(
            f"There are no sample stores in {folder}; set {VARIABLE} to data/sample_segments of a checkout."
        )
    return folder


def full_name(name: str) -> str:
    """`<chroma version>/<name>` of a name that may be bare; UnknownSample if that is not exactly one."""
    known = names()
    if name in known:
        return name
    fitting = [full for full in known if full.split("/")[1] == name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UnknownSample(f"Several samples are called {name!r}: {', '.join(fitting)}.")
    raise UnknownSample(f"There is no sample {name!r}; there are: {', '.join(known)}.")


def folder(name: str) -> Path:
    """The folder that holds a sample's manifest, make.py, truth.json and packed files."""
    return root() / full_name(name)


def manifest(name: str) -> dict[str, Any]:
    """The manifest: chroma, name, what, embedder, collections, symptom and every entry of the store."""
    return json.loads((folder(name) / "manifest.json").read_text(encoding="utf-8"))


def restore(name: str, dest: Path | None = None) -> Path:
    """The path of the restored store: `dest`, or a folder `store` in a new temporary directory.

    Contents, hashes, holes, modes and modification times are those of the manifest. `dest` must be absent or
    an empty folder (UsageError); SampleDamaged is raised if a packed file is not what its manifest says."""
    return unpack(folder(name), dest or Path(tempfile.mkdtemp(prefix="chroma-forensics-")) / "store")


def unpack(source: Path, dest: Path) -> Path:
    """The store that is packed in a folder with its manifest, restored to `dest` as `restore` does."""
    entries = json.loads((source / "manifest.json").read_text(encoding="utf-8"))["entries"]
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise UsageError(f"{dest} exists and is not an empty folder; a sample is restored into a new one.")
    for entry in entries:
        _make(source, entry, dest / entry["path"])
    for entry in reversed(entries):  # children first: writing them moves the time of their folder
        os.chmod(dest / entry["path"], int(entry["mode"], 8))
        os.utime(dest / entry["path"], ns=(entry["mtime_ns"], entry["mtime_ns"]))
    return dest


def differences(name: str, store: Path) -> list[str]:
    """How a folder differs from a sample, one line each: names, sizes, contents, modes, times."""
    entries = {entry["path"]: entry for entry in manifest(name)["entries"]}
    there = {path.relative_to(store).as_posix(): path for path in [store, *store.rglob("*")]}
    found = [f"{path}: missing" for path in entries.keys() - there.keys()]
    found += [f"{path}: not in the sample" for path in there.keys() - entries.keys()]
    for path in entries.keys() & there.keys():
        found += [f"{path}: {what}" for what in _differs(entries[path], there[path])]
    return sorted(found)


def truth(name: str) -> dict[str, CollectionTruth]:
    """By collection name, what its user believes to be stored, as recorded while the sample was built."""
    written = json.loads((folder(name) / "truth.json").read_text(encoding="utf-8"))
    return {key: _truth(key, value) for key, value in written["collections"].items()}


def _truth(name: str, written: dict[str, Any]) -> CollectionTruth:
    from forensics.testing.embedder import embed
    from forensics.testing.texts import records

    known = {record.id: (record.document, record.metadata) for record in records()}
    known |= {row["id"]: (row["document"], row["metadata"]) for row in written["changed"]}
    ids = tuple(written["ids"])
    documents = tuple(known[id][0] for id in ids)
    return CollectionTruth(
        name=name,
        space=written["space"],
        ids=ids,
        documents=documents,
        metadatas=tuple(known[id][1] for id in ids),
        vectors=embed(list(documents)),
        in_doubt=tuple(written["in_doubt"]),
    )


def _make(source: Path, entry: dict[str, Any], target: Path) -> None:
    if entry["type"] == "directory":
        target.mkdir(parents=True, exist_ok=True)
        return
    data = _unpacked(source, entry)
    with target.open("wb") as file:
        at = 0
        for offset, length in _extents(entry):
            file.seek(offset)
            file.write(data[at : at + length])
            at += length
        file.truncate(entry["size"])


def _unpacked(source: Path, entry: dict[str, Any]) -> bytes:
    try:
        packed = (source / entry["stored"]).read_bytes()
        data = lzma.decompress(packed) if entry["encoding"] == "xz" else packed
    except (OSError, lzma.LZMAError) as error:
        raise SampleDamaged(f"{source / entry['stored']} cannot be read: {error}.") from error
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise SampleDamaged(f"{source / entry['stored']} is not what its manifest says (SHA-256).")
    return data


def _extents(entry: dict[str, Any]) -> list[tuple[int, int]]:
    return [(0, entry["size"])] if entry["extents"] is None else entry["extents"]


def _differs(entry: dict[str, Any], path: Path) -> list[str]:
    status = path.lstat()
    found: list[str] = []
    if f"{stat.S_IMODE(status.st_mode):04o}" != entry["mode"]:
        found.append("mode")
    if status.st_mtime_ns != entry["mtime_ns"]:
        found.append("modification time")
    if stat.S_ISDIR(status.st_mode) != (entry["type"] == "directory"):
        return [*found, "type"]
    if entry["type"] == "directory":
        return found
    return found + _content_differs(entry, path, status)


def _content_differs(entry: dict[str, Any], path: Path, status: os.stat_result) -> list[str]:
    if status.st_size != entry["size"]:
        return ["size"]
    extents = _extents(entry)
    allowed = sum(length for _, length in extents) + 4096 * (len(extents) + 1)
    if entry["extents"] is not None and getattr(status, "st_blocks", 0) * 512 > allowed:
        return ["holes are filled"]
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for offset, length in extents:
            file.seek(offset)
            digest.update(file.read(length))
    return [] if digest.hexdigest() == entry["sha256"] else ["content"]
