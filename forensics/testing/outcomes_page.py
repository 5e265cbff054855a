"""The table damage × version × outcome as a page, docs/OUTCOMES.md, from the lines that were measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from forensics.testing.damage import damage_menu
from forensics.testing.outcome_bases import VERSIONS
from forensics.words import counted

Json = Mapping[str, Any]
HELP = {
    "also": "an older copy",
    "embedder": "the embedder",
    "accept_loss": "--accept-loss",
    "also_fix": "--also-fix",
    "rebuild": "--rebuild",
    "unverified_embedder": "--unverified-embedder",
    "set_aside_unsearchable": "--set-aside-unsearchable",
    "ids": "--ids delete",
}
MEANS = {
    "healed": "every id, text and vector that must be there is there, and all that is said above holds",
    "healed, lost": "the same but for the records that the plan listed as lost",
    "in part": "what the plan promised is healed; some codes stay, with the sentence below",
    "refused": "nothing was changed, byte for byte, and a sentence says why",
    "nothing to repair": "nothing above a note was found, and the store's own release lives on with it as it is",
    "unseen": "nothing on the disk tells that a value is not the true one; the sentence below says what would",
    "FAILED": "something of that does not hold",
    "–": "the release has nothing that this damage could change",
}


def markdown(lines: Sequence[Json], natural: Sequence[Json] = ()) -> str:
    """The page."""
    return "\n".join(_lines(lines, natural)).rstrip() + "\n"


def kind(line: Json) -> str:
    """The outcome, without its number."""
    return "healed, lost" if line["outcome"].startswith("healed,") else line["outcome"]


def _lines(lines: Sequence[Json], natural: Sequence[Json]) -> Iterator[str]:
    done = [line for line in lines if line["outcome"] != "–"]
    commits = Counter(line["commit"] for line in lines)
    yield from ("# Damage × version × outcome", "")
    date = datetime.now(UTC).date().isoformat()
    yield f"Written on {date} by `python -m forensics.testing.outcomes --natural .cache/natural --out docs/OUTCOMES.md`"
    yield f"from {counted(len(done), 'repaired stores')}, made from {_of(commits)}."
    cells = len(damage_menu()) * len(VERSIONS)
    if len(lines) < cells:
        yield f"Of {cells} cells {cells - len(lines)} are not made yet; the same command goes on where it stopped."
    yield ""
    yield from INTRODUCTION
    yield ""
    yield from _table(("outcome", *VERSIONS, "that is"), _sums(lines))
    yield ""
    yield from headline(done)
    yield from ("", "## Every damage", "")
    yield "Where a repair by itself leaves something, the cell says what it came to with the help that is named behind it:"
    yield f"{', '.join(f'{short} = {HELP[name]}' for name, short in SHORT.items())}."
    yield ""
    yield from _table(("damage", "codes", *VERSIONS), _rows(lines))
    yield from ("", "## What stays, and why", "")
    yield from _reasons(done)
    yield from ("", "## Failed", "")
    yield from [
        f"- {_name(line)}: {'; '.join(line['failed'])[:400]}" for line in done if line.get("failed")
    ] or ["None."]
    if natural:
        yield from ("", "## Naturally broken stores", "")
        yield from _natural(natural)


INTRODUCTION = (
    "Each damage of the menu (`forensics/testing/damage*.py`) is done to a healthy store that the release itself wrote: 312",
    "records in one collection, some of them pending, and a second collection beside it. The store is then repaired as",
    "`forensics repair --yes` does it. What must hold afterwards (`forensics/testing/outcome_proof.py`):",
    "",
    "- *Vectors*: each that was anywhere on the disk, looked for by its bytes before the repair, is what its id gets",
    "  afterwards: bit for bit; in a cosine index, which holds them normalised, to one step of float32.",
    "- *Ids, documents, metadata* are those from before the damage or those that it left, by plain SQL.",
    "- *Recall@10* of an index that the repair changed is not below that of a fresh build of the same vectors with the",
    "  same parameters: 100 stored vectors drawn with seed 0, ef 100, the 95 % intervals of Wilson must meet.",
    "- *The other collection* has the same SHA-256 over its files and rows as before.",
    "- *No litter*: nothing new in the store but what a segment must have; beside it the kept half alone; after",
    "  `case release` nothing. A second diagnosis is silent. Undo gives back each byte, undone again the repaired store.",
    "- *It lives on*: where nothing stays, the release that wrote the store opens a copy of the repaired one, shows every",
    "  id, document, metadata and vector, finds records by their text, adds past a flush, upserts, deletes, adds past",
    "  another flush, is killed, and a new process finds each record as it should be (`forensics/testing/living_on.py`).",
)
SHORT = {
    "embedder": "E",
    "also": "C",
    "accept_loss": "L",
    "also_fix": "F",
    "rebuild": "R",
    "unverified_embedder": "U",
    "set_aside_unsearchable": "S",
}


def headline(done: Sequence[Json]) -> Iterator[str]:
    """The figures as list items."""
    failed = sum(bool(line.get("failed")) for line in done)
    alone = [line.get("alone", line) for line in done]
    whole = [line for line in done if kind(line) == "healed"]
    measured = [line for line in done if "on_disk" in line]
    yield f"- Stores: {len(done)}; {failed} failed."
    without = sum(line["outcome"] == "healed" for line in alone)
    yield f"- Healed without any help: {without}; with what the pages name: {len(whole)}."
    yield (
        f"- In the healed ones {sum(line['on_disk'] for line in whole)} of {sum(line['of'] for line in whole)} vectors were"
        f" on the disk, and {sum(line['back'] for line in whole)} of these are back; in all {len(measured)} stores"
        f" {sum(line['on_disk'] for line in measured)} were on the disk."
    )
    recalls = [
        (float(line["recall"].split()[0]), float(line["recall"].split(" beside ")[1].split()[0]))
        for line in done
        if line.get("recall")
    ]
    if recalls:
        lowest, fresh = min(recalls)
        yield f"- Recall was measured in {len(recalls)}; the lowest is {lowest:.4f}, that of its fresh build {fresh:.4f}."


def _of(commits: Counter[str]) -> str:
    if len(commits) == 1:
        return f"commit {next(iter(commits))}"
    return "commits " + ", ".join(f"{name} ({count})" for name, count in commits.most_common())


def _sums(lines: Sequence[Json]) -> Iterator[tuple[str, ...]]:
    for name, means in MEANS.items():
        counts = Counter(line["version"] for line in lines if kind(line) == name)
        yield (name, *(str(counts[version]) for version in VERSIONS), means)


def _rows(lines: Sequence[Json]) -> Iterator[tuple[str, ...]]:
    cells = {(line["damage"], line["version"]): line for line in lines}
    for damage in damage_menu().values():
        found = [cells.get((damage.name, version)) for version in VERSIONS]
        if any(found):
            yield (damage.name, " ".join(damage.codes) or "–", *(_cell(line) for line in found))


def _cell(line: Json | None) -> str:
    if line is None:
        return "not made"
    used = "".join(short for name, short in SHORT.items() if name in line.get("help", ()))
    lost = line.get("lost", 0)
    said = f"healed, {lost} lost" if kind(line) == "healed, lost" else line["outcome"]
    return f"{said} +{used}" if used else said


def _name(line: Json) -> str:
    return f"{line['damage']} {line['version']}"


def _reasons(done: Sequence[Json]) -> Iterator[str]:
    """Each sentence once, with the cells that it is said of."""
    said: dict[str, list[str]] = {}
    for line in done:
        if kind(line) in ("refused", "in part", "healed, lost", "unseen"):
            stays = f"{' '.join(line['left'])}: " if line["left"] else "lost: "
            said.setdefault(stays + (line["refused"] or "explained, and left to a person")[:500], []).append(
                _name(line)
            )
    for sentence, names in sorted(said.items(), key=lambda each: each[1]):
        yield f"- {', '.join(names)}: {sentence}"


def _natural(lines: Sequence[Json]) -> Iterator[str]:
    yield "Stores that broke as they do in life (docs/NATURAL.md), repaired with the embedder that wrote them and what else"
    yield "their findings name. *Symptoms* are those that their user has with chromadb, by an oracle that knows no check;"
    yield "what was acknowledged and stands nowhere on the disk any more (lost, risen, text-stale) no repair can bring back."
    yield ""
    kinds = sorted({line["kind"] for line in lines})
    heads = ("kind", "stores", *(name for name in MEANS if name != "–"))
    counts = Counter((line["kind"], kind(line)) for line in lines)
    rows = (
        (
            each,
            str(sum(line["kind"] == each for line in lines)),
            *(str(counts[each, name]) for name in heads[2:]),
        )
        for each in kinds
    )
    yield from _table(heads, rows)
    yield ""
    yield from (_natural_line(line) for line in lines)


def _natural_line(line: Json) -> str:
    before, after = (_symptoms(line[name]) for name in ("symptoms", "symptoms_after"))
    failed = f" · FAILED: {'; '.join(line['failed'])[:300]}" if line["failed"] else ""
    codes = " ".join(line["codes"]) or "no code"
    return f"- {line['name']}: {line['outcome']} · {codes} · symptoms: {before} → {after}{failed}"


def _symptoms(found: Mapping[str, Mapping[str, int]]) -> str:
    return (
        "; ".join(
            f"{name}: {', '.join(f'{what} {n}' for what, n in counts.items())}"
            for name, counts in found.items()
        )
        or "none"
    )


def _table(heads: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for cells in rows:
        yield f"| {' | '.join(cells)} |"
