"""Damage × version × outcome: every damage of the menu on a healthy store of six releases, repaired and proved.

    python -m forensics.testing.outcomes [--versions V,…] [--damages NAME,…] [--natural DIR] [--lines FILE] [--out FILE]

Each cell is a line of JSON in `--lines`; one that is there is not made again (but with `--again`). A store is first
repaired by itself; where something is left, once more with what the pages of the codes name: an embedder, an older copy,
`--accept-loss`, `--also-fix`, setting aside what nothing brings back. What must hold is in `outcome_proof`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import forensics as fx
from forensics.errors import ForensicsError
from forensics.repair.options import RepairOptions
from forensics.testing.damage import Damage, damage_menu
from forensics.testing.natural_corpus import ROOT, Case, lines, today
from forensics.testing.nursery import preloaded
from forensics.testing.outcome_bases import STRUCK, VERSIONS, Base
from forensics.testing.outcome_facts import Held, Rows, copied, rows_of, segments_of
from forensics.testing.outcome_proof import Before, Proof, proof, wanted
from forensics.testing.sameness import content
from forensics.testing.showing import EMBEDDER

FOLDER = ROOT / ".cache" / "outcomes"
TIDY = ("CF006", "CF007", "CF112", "CF201", "CF213", "CF607")
Json = dict[str, Any]


class Bases:
    """The base of each version, and what is known of it, made once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._known = folder, dict[str, Ground]()

    def __getitem__(self, version: str) -> Ground:
        if version not in self._known:
            self._known[version] = Ground(Base.of(version, self.folder))
        return self._known[version]


@dataclass
class Ground:
    """A base with the facts that each cell needs."""

    base: Base

    @cached_property
    def segments(self) -> dict[str, dict[str, str]]:
        return {name: segments_of(self.base.store, name) for name in self.base.truth}

    @cached_property
    def rows(self) -> Rows:
        found = rows_of(self.base.store, self.segments[STRUCK])
        assert found is not None
        assert found.keys() == self.base.truth[STRUCK].documents.keys()
        return found

    @cached_property
    def held(self) -> Held:
        return Held.of(self.base.store, self.base.truth[STRUCK])

    @cached_property
    def content(self) -> dict[str, Any]:
        return content(self.base.store)


def cell(damage: Damage, version: str, bases: Bases, scratch: Path) -> Json:
    """What became of that damage in a store of that version; a line of the table."""
    began = time.monotonic()
    line: Json = {"damage": damage.name, "version": version, "commit": commit(), "date": today()}
    shutil.rmtree(scratch, ignore_errors=True)
    ground, struck = bases[version], scratch / "struck"
    shutil.copytree(ground.base.store, struck)
    try:
        damage(struck)
    except Exception as error:  # noqa: BLE001 - what this release does not have cannot be damaged
        return line | {"outcome": "–", "why": f"not in this release: {type(error).__name__} {error}"[:200]}
    if content(struck) == ground.content:
        return line | {"outcome": "–", "why": "nothing there to damage"}
    try:
        line |= attempts(damage, Before.of(ground.base, ground, struck), scratch)
    except Exception as error:  # noqa: BLE001 - whatever is raised is a fault of the repair, and the next cell goes on
        line |= {"outcome": "FAILED", "failed": [f"crashed: {_where(error)}"]}
    shutil.rmtree(scratch, ignore_errors=True)
    return line | {"seconds": round(time.monotonic() - began, 1)}


def attempts(damage: Damage, before: Before, scratch: Path) -> Json:
    """The outcome by itself, and with help where that is not enough."""
    alone = attempt(damage, before, scratch / "alone", {})
    line: Json = {
        "codes": alone.codes,
        "on_disk": len(before.still & wanted(before)),
        "of": len(before.truth.vectors),
    }
    final, used = alone, dict[str, Any]()
    tidy = tuple(code for code in damage.codes if code in TIDY)
    left = alone.left or (tidy if not alone.applied else ())
    if (left or alone.lost or alone.norms) and not alone.failed:
        used = chosen_help(damage, before, left) if left else {"embedder": EMBEDDER, "also": (before.older,)}
        final = attempt(damage, before, scratch / "helped", used) if used else alone
    if (
        damage.unseen
        and alone.failed
        and not (alone.applied or alone.left or set(damage.codes) & set(alone.codes))
    ):
        return line | {**alone.line, "outcome": "unseen", "refused": damage.unseen, "help": [], "failed": []}
    failed = [*alone.failed, *(final.failed if final is not alone else [])]
    said = final.line if final is alone else {**final.line, "alone": alone.line}
    return line | said | {"help": sorted(used), "failed": failed}


def attempt(damage: Damage, before: Before, folder: Path, options: Mapping[str, Any]) -> Proof:
    """One repair of a copy of the struck store, and what holds of it."""
    store = folder / "store"
    folder.mkdir(parents=True)
    copied(before.struck, store)
    case = folder / "case"
    try:
        plan = planned(damage, store, options, case=case)
    except ForensicsError as error:
        return Proof((), (), refused=str(error))
    return proof(before, store, case, plan, deep=damage.deep, embedder=damage.embedder)


def planned(damage: Damage, store: Path, options: Mapping[str, Any], case: Path | None = None) -> fx.Plan:
    """The plan of the diagnosis that sees this damage."""
    given: dict[str, Any] = {"engine": "none", "embedder": EMBEDDER if damage.embedder else None, **options}
    chosen = RepairOptions(**given)
    found = fx.diagnose(store, deep=damage.deep, embedder=chosen.embedder)
    return fx.plan(store, case=case, diagnosis=found, options=chosen)


def chosen_help(damage: Damage, before: Before, left: Sequence[str]) -> dict[str, Any]:
    """The least help that leaves the fewest codes; nothing where none does any better."""
    best, fewest = dict[str, Any](), len(left)
    for options in helps(before, left):
        try:
            plan = planned(damage, before.struck, options)
        except ForensicsError:
            continue
        if len(plan.remaining) < fewest:
            best, fewest = options, len(plan.remaining)
        if not fewest:
            break
    return best


def helps(before: Before, left: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What a user may add, one after the other."""
    tidy = tuple(code for code in left if code in TIDY)
    options: dict[str, Any] = {"also_fix": tidy} if tidy else {}
    if tidy:
        yield dict(options)
    if "CF608" in left:
        yield {"rebuild": (STRUCK,)}
    options |= {"embedder": EMBEDDER}
    yield dict(options)
    yield {**options, "also": (before.older,)}
    options |= {"accept_loss": tuple(left), "unverified_embedder": True}
    yield dict(options)
    options |= {"also": (before.older,)}
    yield dict(options)
    yield {**options, "set_aside_unsearchable": True, "ids": "delete"}


def _where(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {error} in {frame.name}, {Path(frame.filename).name}:{frame.lineno}"[:300]


@cache
def commit() -> str:
    """The commit of this checkout; empty where it is none."""
    words = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


# --- the command ---


def kept(file: Path) -> dict[Any, Json]:
    """(damage, version), or the name of a natural store → the newest line."""
    text = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {line.get("name") or (line["damage"], line["version"]): line for line in map(json.loads, text)}


def measured(wanted: Sequence[tuple[str, str]], file: Path, *, again: bool = False) -> Iterator[Json]:
    """The line of each cell that has none yet, appended to the file."""
    bases, menu, there = Bases(FOLDER / "bases"), damage_menu(), kept(file)
    for damage, version in wanted:
        if again or (damage, version) not in there:
            line = cell(menu[damage], version, bases, FOLDER / "scratch" / f"{damage}-{version}")
            yield _noted(file, line)


def measured_natural(folder: Path, file: Path, *, again: bool = False) -> Iterator[Json]:
    """The same of each store in that folder of the natural corpus that its judges call broken."""
    from forensics.testing.natural_outcomes import natural_line

    there = kept(file)
    for line in lines(folder):
        broken = any(verdict["symptoms"] for verdict in line.get("verdicts", ()))
        if broken and (again or line["name"] not in there):
            case = Case(line["kind"], line["seed"], folder)
            yield _noted(file, natural_line(case, line, FOLDER / "scratch" / line["name"]))


def _noted(file: Path, line: Json) -> Json:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(line) + "\n")
    return line


def _say(line: Json) -> None:
    name = line.get("name") or f"{line['version']:7} {line['damage']:28}"
    said = (name, line["outcome"], *line.get("help", ()), "; ".join(line.get("failed", ()))[:300])
    sys.stdout.write(" ".join(said) + f" {line.get('seconds', '')}\n")
    sys.stdout.flush()


def main(words: Sequence[str]) -> int:
    asked = _arguments(words)
    names, menu = tuple(each for each in asked.damages.split(",") if each), damage_menu()
    chosen = [
        one.name for one in menu.values() if not names or one.name in names or one.code.startswith(names)
    ]
    wanted = [(damage, version) for version in asked.versions.split(",") for damage in chosen if version]
    with preloaded():
        for line in measured(wanted, asked.lines, again=asked.again):
            _say(line)
        for line in measured_natural(asked.natural, asked.lines, again=asked.again) if asked.natural else ():
            _say(line)
    known = list(kept(asked.lines).values())
    if asked.out:
        from forensics.testing.outcomes_page import markdown

        cells, natural = ([line for line in known if ("name" in line) == other] for other in (False, True))
        asked.out.write_text(markdown(cells, natural), encoding="utf-8")
    return int(any(line.get("failed") for line in known))


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m forensics.testing.outcomes", description="Damage × version × outcome."
    )
    parser.add_argument("--versions", default=",".join(VERSIONS))
    parser.add_argument(
        "--damages", default="", help="names, or beginnings of their codes; all where none is given"
    )
    parser.add_argument(
        "--natural", type=Path, help="also the broken ones of this folder of the natural corpus"
    )
    parser.add_argument("--lines", type=Path, default=FOLDER / "cells.jsonl", help="where the cells are kept")
    parser.add_argument("--again", action="store_true", help="make those anew that are there")
    parser.add_argument("--out", type=Path, help="write the page")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
