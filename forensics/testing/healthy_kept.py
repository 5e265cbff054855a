"""The healthy stores that are kept here: one of each release, and the small special ones; `make test` needs no release.

python -m forensics.testing.healthy_kept [NAME…]     builds them anew, by the releases that wrote them
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from forensics import samples
from forensics.compatibility import RELEASES
from forensics.engine.releases import release_python
from forensics.testing.healthy import ACROSS, NEWEST, Recipe, recipes
from forensics.testing.packing import data_extents, pack

SPECIAL = (
    *("all-deleted", "below-the-flush", "at-the-flush", "list-metadata", "large-metadata", "noise"),
    *("one-text-often", "other-parameters", "reopened-often", "updates-alone", "many-scripts"),
    *("several-collections", "a-collection-deleted"),
)
TRAVELLED = (
    *("0.5.5-to-1.2.1", "0.4.24-to-0.5.5-to-0.6.3", "0.4.24-to-0.6.3-to-1.5.9"),
    *("0.5.0-to-0.5.13-to-1.5.9", "0.6.3-to-1.0.20-to-1.5.9"),
)
KEPT = (
    *(f"{release}-life" for release in RELEASES),
    *(f"{release}-{shape}" for shape in ("empty", "one-record") for release in ACROSS),
    *(f"{NEWEST}-{shape}" for shape in SPECIAL),
    *TRAVELLED,
)
"""The recipes whose stores are kept; the others are built where the releases are."""


def root() -> Path:
    """The folder of the kept stores, beside the samples."""
    return samples.root().parent / "healthy_stores"


def recipe(name: str) -> Recipe:
    """The recipe of that name. Raises KeyError where there is none."""
    return {each.name: each for each in recipes()}[name]


def restore(name: str, dest: Path) -> Path:
    """The kept store at `dest`, exactly as its releases left it (see `samples.restore`)."""
    return samples.unpack(root() / name, dest)


def built_by(name: str) -> tuple[str, ...]:
    """The releases that wrote the kept store, first to last."""
    return tuple(json.loads((root() / name / "manifest.json").read_text(encoding="utf-8"))["releases"])


def keep(name: str, store: Path) -> None:
    """Packs a store that its recipe has made."""
    told = list(_telling(store))
    if told:
        raise ValueError(f"unused memory of its writer tells where it ran: {', '.join(told)}")
    description = {"name": name, "releases": recipe(name).releases, "leaves": recipe(name).leaves}
    pack(store, root() / name, description)


def _telling(store: Path) -> Iterator[str]:
    words = [str(path).encode() for path in {Path.home(), root().parents[1], store.parent}]
    for path in store.rglob("*"):
        if path.is_file() and data_extents(path) and any(word in path.read_bytes() for word in words):
            yield path.relative_to(store).as_posix()


def _python(release: str) -> Path:
    python = release_python(release, create=True)
    assert python is not None
    return python


def main(names: Sequence[str]) -> int:
    for name in names or KEPT:
        with TemporaryDirectory(prefix="forensics-healthy-") as folder:
            recipe(name).make(Path(folder) / "store", _python)
            keep(name, Path(folder) / "store")
        sys.stdout.write(f"{name}: kept\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
