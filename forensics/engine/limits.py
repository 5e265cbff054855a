"""How much a child may take, and whether the engine would fit into this machine at all; predicted before it
starts.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from forensics.absent import Absent
from forensics.memory import available_memory
from forensics.readers.hnsw import HnswFiles
from forensics.readers.layout import HEADER_FILE

GIB = 1 << 30
STARTED = 3 * GIB
"""Address space of a client before it has loaded anything."""
BESIDE = 64
"""Bytes per element beside level 0: a lock, a level, a pointer to its links, a mark of visits."""
SAYS_MEMORY = (
    "bad_alloc",
    "MemoryError",
    "Not enough memory",
    "memory allocation",
    "Cannot allocate memory",
    "os error 11",
)


def allocated(store: Path) -> int:
    """Bytes on the disk of all regular files below `store`."""
    return sum(facts.st_blocks * 512 for facts in _facts(store))


def default_memory(store: Path) -> int:
    """An address space that no store needs in full which this machine can load: 8 GiB, four times its files, and
    what its indexes reserve by their headers, three times over (a reader, a writer, and one that grows).
    """
    base, reserved = 8 * GIB + 4 * allocated(store), 3 * reserved_memory(store)
    return base + min(reserved, 2 * (available_memory() or 0))


def reserved_memory(store: Path) -> int:
    """Bytes that hnswlib reserves for every index of `store`, as their headers say: room for max_elements, not for
    those that there are. A header whose fields do not agree counts nothing: the engine refuses it.
    """
    headers = (HnswFiles(path.parent).geometry for path in sorted(store.glob(f"*/{HEADER_FILE}")))
    return sum(
        h.max_elements * (h.size_data_per_element + BESIDE) for h in headers if not isinstance(h, Absent)
    )


def told_by_limit(store: Path, memory: int, error: str) -> str | None:
    """Why an error of a child with `memory` tells of that limit and nothing of the store; None where it does not."""
    needed = reserved_memory(store)
    if any(word in error for word in SAYS_MEMORY) or needed > memory - STARTED:
        wants = f"; the headers of its indexes reserve {needed / GIB:.1f} GiB" if needed > GIB else ""
        return f"the limit of {memory / GIB:.1f} GiB of address space was reached{wants}"
    return None


def default_file_size(store: Path) -> int:
    """The largest file that the engine may write there: twice the largest there is and 2 GiB."""
    return 2 * GIB + 2 * max((facts.st_size for facts in _facts(store)), default=0)


def _facts(store: Path) -> list[os.stat_result]:
    return [path.stat() for path in store.rglob("*") if path.is_file() and not path.is_symlink()]


def engine_memory(store: Path) -> int:
    """Bytes that chromadb is expected to need with every index of `store` loaded: the index files, id maps
    tenfold.
    """
    binaries = sum(path.stat().st_blocks * 512 for path in store.glob("*/*.bin") if path.is_file())
    maps = sum(path.stat().st_size for path in store.glob("*/index_metadata.pickle") if path.is_file())
    return round(1.2 * binaries) + 10 * maps + GIB // 4


def lacking_memory(store: Path) -> str | None:
    """One sentence where the engine would not fit into memory, else None."""
    needed, have = engine_memory(store), available_memory()
    if have is None or needed <= have:
        return None
    return f"the engine would need about {needed / GIB:.1f} GiB of memory, {have / GIB:.1f} GiB are available"


def roomy_folder(needed: int) -> Path | None:
    """The first of the usual scratch places with `needed` bytes and some more free, or None."""
    places = (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd())
    return next((place for place in places if place.is_dir() and _free(place) > needed + GIB // 8), None)


def _free(folder: Path) -> int:
    if not os.access(folder, os.W_OK):
        return 0
    if not hasattr(os, "statvfs"):
        return 1 << 62
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
