"""The additions and searches on memory maps, in a child: a file that is cut short or a disk that becomes full under a
map kills whoever touches it, which is a result here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def run(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """Does `request["operation"]`, add, query or query_self, with the arrays in `folder`; says what memory it took."""
    sys.path.insert(0, request["home"])
    answer = OPERATIONS[request["operation"]](request, Path(folder))
    return {**answer, "peak": _peak()}


def add(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """stored.npy (n, dim) and norms.npy are elements with the labels of labels.npy (n,)."""
    import numpy as np

    from forensics.writers.mapped_add import add_on_maps

    stored, norms, labels = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("stored", "norms", "labels")
    )
    header = add_on_maps(
        Path(request["directory"]), request["space"], stored, norms, labels, request["capacity"]
    )
    return {"count": header.cur_element_count}


def query_self(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Which of elements.npy do not find themselves; missing.npy, hopeless.npy and near.npy, as the native search has it."""
    import numpy as np

    from forensics.writers.mapped_search import search_themselves

    found = search_themselves(
        Path(request["directory"]),
        request["space"],
        np.load(folder / "elements.npy"),
        request["k"],
        tuple(request["ef"]),
    )
    for name in ("missing", "hopeless", "near"):
        np.save(folder / f"{name}.npy", getattr(found, name))
    return {"asked": found.asked}


def query(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The labels found nearest to each of queries.npy (n, dim) go to nearest.npy (n, k)."""
    import numpy as np

    from forensics.writers.mapped_search import search_for

    queries = np.load(folder / "queries.npy")
    found = search_for(Path(request["directory"]), request["space"], queries, request["k"], request["ef"])
    np.save(folder / "nearest.npy", found)
    return {"asked": len(queries)}


def _peak() -> dict[str, int]:
    """Bytes: the peak of what this process had in memory, files included, and what of it was its own at the end."""
    names = {"VmHWM:": "resident", "RssAnon:": "anonymous"}
    if not os.path.exists("/proc/self/status"):
        return {}
    with open("/proc/self/status", encoding="ascii") as handle:
        rows = (line.split() for line in handle)
        return {names[row[0]]: int(row[1]) * 1024 for row in rows if row[0] in names}


OPERATIONS = {"add": add, "query": query, "query_self": query_self}
