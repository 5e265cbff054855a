"""The corpus: every code found when injected, silent when healthy, silent after its repair. Writes docs/CORPUS.md.

    python -m forensics.testing.corpus [--healthy DIR] [--seeds N] [--out FILE] [CODE…]

Healthy are the samples of that name and the stores that are kept (`healthy_kept`); `--healthy` is a folder of further
ones, `--seeds` how many bits of each file are flipped.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import forensics as fx
from forensics import samples
from forensics.codes import catalogue
from forensics.testing import healthy_kept
from forensics.testing.corpus_page import Blow, Page, Row, markdown
from forensics.testing.damage import HEALTHY, Damage, damage_menu
from forensics.testing.damage_six import BLOWS, FILES
from forensics.testing.healthy import recipes
from forensics.testing.otherwise import NOTES, WAYS, possible
from forensics.testing.showing import EMBEDDER, diagnosed, incomplete

ROOT = Path(__file__).resolve().parents[2]
TIDY = ("CF006", "CF007", "CF112", "CF201", "CF213", "CF607")
"""Repaired only when asked for."""


@dataclass(frozen=True, slots=True)
class Injected:
    """What a diagnosis said of one damage, and what was left of its code after the repair."""

    damage: str
    found: bool
    other: tuple[str, ...]
    after: str


def injected(damage: Damage) -> Injected:
    """The damage done to its sample, looked at, repaired as far as a plan goes without loss, and looked at again."""
    with TemporaryDirectory(prefix="forensics-corpus-") as folder:
        store = samples.restore(damage.sample, Path(folder) / "store")
        damage(store)
        found = diagnosed(store, deep=damage.deep, embedder=damage.embedder)
        other = tuple(sorted(set(found.codes(notes=False)) - set(damage.codes)))
        seen = set(damage.codes) <= set(found.codes()) and not incomplete(found)
        return Injected(damage.name, seen, other, _after(damage, store, found))


def _after(damage: Damage, store: Path, found: fx.Diagnosis) -> str:
    """`silent`, `a person` (the plan leaves it), `note` (nothing to repair), or what is still found."""
    case = store.with_name("case")
    asked = [code for code in damage.codes if code in TIDY]
    plan = fx.plan(store, case=case, diagnosis=found, embedder=EMBEDDER, also_fix=asked, engine="none")
    if not plan.approved:
        return "a person" if damage.code in plan.remaining else "note"
    fx.apply(case, yes=True, nobody_else=True)
    after = diagnosed(store, deep=damage.deep, embedder=damage.embedder)
    if damage.code not in after.codes():
        return "silent"
    return "a person" if damage.code in plan.remaining else f"still {damage.code}"


def healthy_stores(further: Path | None) -> Iterator[tuple[str, Path]]:
    """A copy of every healthy sample, of every store that is kept and of every other one in `further`, one at a time."""
    with TemporaryDirectory(prefix="forensics-corpus-") as folder:
        copy = Path(folder) / "store"
        for name in samples.names():
            if "/healthy" in name:
                yield name, samples.restore(name, copy)
                shutil.rmtree(copy)
        for name in healthy_kept.KEPT:
            yield name, healthy_kept.restore(name, copy)
            shutil.rmtree(copy)
        for store in sorted(further.iterdir()) if further is not None else ():
            if store.name not in healthy_kept.KEPT:
                shutil.copytree(store, copy)
                yield store.name, copy
                shutil.rmtree(copy)


def silence(further: Path | None) -> tuple[list[str], dict[str, list[str]]]:
    """The healthy stores, and code → those in which it was found, as a note or above one (then marked with !)."""
    names: list[str] = []
    said: dict[str, list[str]] = {}
    leaves = {
        recipe.name: recipe.leaves for recipe in recipes()
    }  # what a release itself leaves behind is there
    for name, store in healthy_stores(further):
        _say(f"healthy {name}")
        names.append(name)
        found = diagnosed(store, deep=True)
        for code in found.codes():
            loud = "!" if code in set(found.codes(notes=False)) - set(leaves.get(name, ())) else ""
            said.setdefault(code, []).append(loud + name)
    return names, said


def otherwise(code: str) -> tuple[str, bool | None]:
    """How a code is shown that no damage shows, and whether it was: None where it cannot be here."""
    if why := possible(code):
        return why, None
    with TemporaryDirectory(prefix="forensics-corpus-") as folder:
        codes = WAYS[code](samples.restore(HEALTHY, Path(folder) / "store"))
    return (WAYS[code].__doc__ or "").split(". ")[0].rstrip("."), code in codes


def row(code: str, healthy: Sequence[str], said: dict[str, list[str]]) -> Row:
    """The line of a code."""
    done = [injected(damage) for damage in damage_menu().values() if damage.code == code]
    loud = [name for name in said.get(code, []) if name.startswith("!")]
    ways = {each.after for each in done}
    found, why = sum(each.found and not each.other for each in done), ""
    total = len(done)
    if code in NOTES:
        why, found, total = (
            f"a note of healthy stores, as `{NOTES[code]}`",
            int(NOTES[code] in said.get(code, [])),
            1,
        )
    elif not done:
        why, shown = otherwise(code)
        found, total = int(bool(shown)), int(shown is not None)
    names = tuple(each.damage for each in done)
    entry, silent = catalogue()[code], tuple(sorted(ways))
    return Row(code, entry.name, entry.severity, names, found, total, len(healthy), tuple(loud), silent, why)


def blow(file: str, how: str, seeds: int) -> Blow:
    """What is said of one of Lucene's blows to one file: with several seeds where it has any chance in it."""
    entry, said = damage_menu()[f"{file}-{how}"], Counter[tuple[str, ...]]()
    for seed in range(seeds if how == "bit-flipped" else 1):
        with TemporaryDirectory(prefix="forensics-corpus-") as folder:
            store = samples.restore(entry.sample, Path(folder) / "store")
            entry(store, seed)
            said[diagnosed(store, deep=True, embedder=how == "bit-flipped").codes(notes=False)] += 1
    return Blow(entry.name, FILES[file], how, said, entry.unseen)


def measured(codes: Sequence[str], further: Path | None, seeds: int) -> Page:
    """The whole corpus, measured now."""
    healthy, said = silence(further)
    rows: list[Row] = []
    for code in codes:
        rows.append(row(code, healthy, said))
        _say(rows[-1].text)
    blows = [blow(file, how, seeds) for file in FILES for how in BLOWS]
    return Page(datetime.now(UTC).date().isoformat(), tuple(rows), tuple(blows), len(healthy))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m forensics.testing.corpus", description="The corpus as a table."
    )
    parser.add_argument("codes", nargs="*", metavar="CODE")
    parser.add_argument("--healthy", type=Path, help="a folder of further healthy stores")
    parser.add_argument("--seeds", type=int, default=16, help="bits flipped in each file, one at a time")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "CORPUS.md")
    asked = parser.parse_args(words)
    page = measured(asked.codes or tuple(catalogue()), asked.healthy, asked.seeds)
    text = markdown(page)
    if not asked.codes:
        asked.out.write_text(text, encoding="utf-8")
    _say(text)
    return 0 if page.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
