"""What was foretold beside what releases did: every call of every store, counted, and as a page.

    python -P -m forensics.testing.foretelling [--damages] [--natural] [--answers FOLDER] [--release VERSION]…
        [--write docs/FORETELL.md]

The samples are always asked; with `--damages` also every store of the damage menu, with `--natural` the naturally broken
stores that `scripts/natural_corpus.py` has built. With `--answers` an engine that answered before of the very same
bytes is not asked again, so that a run may be stopped, and the model alone be tried anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from forensics.foretell.agreeing import Agreement, agreement
from forensics.foretell.calls import CALLS, RELEASES
from forensics.foretell.telling import tell
from forensics.seal import seal
from forensics.store import open_store
from forensics.testing.asking import answers_of, engine_answers
from forensics.testing.damage import HEALTHY
from forensics.testing.foretold_page import Found, Tally, page, whole
from forensics.testing.foretold_stores import OLD, NotHere, Part, damaged, natural, sampled

LATEST = RELEASES[-1]
AT_ONCE = 6
"""Stores that one interpreter of a release is asked about."""
AIM = 0.99
Answers = list[dict[str, Any]]


def compared(
    store: Path, release: str, *, calls: Sequence[str] = CALLS, told_of: Path | None = None
) -> Iterator[Agreement]:
    """Every call of every collection. `told_of`: another store, of which is foretold."""
    return beside(told_of or store, release, engine_answers(store, release, calls))


def beside(store: Path, release: str, answers: Answers) -> Iterator[Agreement]:
    """What is foretold of the store, beside these answers."""
    with open_store(store) as opened:
        told = {(one.collection, call.call): call for one in tell(opened, release) for call in one.calls}
    for answer in answers:
        foretold = told[(answer["collection"], answer["call"])]
        yield agreement(foretold, answer["processes"], answer["lost"])


def run(part: Part, answers: Path | None, releases: Sequence[str] = ()) -> Found:
    """Every store of a part under its releases, or those named; a line to stderr for each."""
    asked = releases or part.releases
    found = Found(part.title, {release: {} for release in asked})
    every = list(part.stores)
    for names in (every[first : first + AT_ONCE] for first in range(0, len(every), AT_ONCE)):
        with tempfile.TemporaryDirectory(prefix="forensics-foretelling-") as folder:
            stores = _made(part, names, Path(folder), found.left_out)
            for release in asked:
                for name, given in _answered(stores, release, answers).items():
                    tally = found.tallies[release][name] = Tally.of(beside(stores[name], release, given))
                    sys.stderr.write(f"{name} under {release}: {tally}\n")
    return found


def _made(part: Part, names: Sequence[str], folder: Path, left_out: dict[str, str]) -> dict[str, Path]:
    stores: dict[str, Path] = {}
    for number, name in enumerate(names):
        store = folder / str(number) / "store"
        store.parent.mkdir()
        try:
            part.stores[name](store)
            stores[name] = store
        except NotHere as error:
            left_out[name] = str(error)
    return stores


def _answered(stores: Mapping[str, Path], release: str, kept: Path | None) -> dict[str, Answers]:
    """Those that are kept of the same bytes, and of the others what the engine says now."""
    files = {name: _file(store, name, release, kept) for name, store in stores.items() if kept}
    found = {
        name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()
    }
    others = [name for name in stores if name not in found]
    if others:
        given = answers_of([stores[name] for name in others], release)
        found |= dict(zip(others, given, strict=True))
    for name, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found[name]), encoding="utf-8")
    return {name: found[name] for name in stores}


def _file(store: Path, name: str, release: str, kept: Path) -> Path:
    digest = hashlib.sha256()
    for entry in seal(store).entries:
        digest.update(repr((entry.path, entry.kind, entry.mode, entry.sha256)).encode())
    return kept / f"{name.replace('/', '_')}--{release}--{digest.hexdigest()[:16]}.json"


def parts(damages: bool, grown: bool) -> list[Part]:
    """Stores of 1.5.9 are asked of 1.5.9 alone: what older releases say of these, their migrations, is in the samples."""
    more = [damaged(OLD), damaged(HEALTHY, (LATEST,))] if damages else []
    return [sampled(), *more, *([natural()] if grown else [])]


def main() -> int:
    """0 where the aim is met: 99 % as foretold, and no destruction missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damages", action="store_true")
    parser.add_argument("--natural", action="store_true")
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--release", action="append", default=[])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    found = [run(part, options.answers, options.release) for part in parts(options.damages, options.natural)]
    flags = [f"--{name}" for name in ("damages", "natural") if getattr(options, name)]
    text = page(found, " ".join(("python -P -m forensics.testing.foretelling", *flags)))
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    total = whole(tally for part in found for tally in part.every)
    sys.stderr.write(f"{total.agree} of {total.agree + total.differ} as foretold, {total.missed} missed\n")
    return int(total.share < AIM or bool(total.missed))


if __name__ == "__main__":
    sys.exit(main())
