"""The page on naturally broken stores: a table per kind, what was not found, what was alarmed for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forensics.testing.natural_corpus import RELEASES
from forensics.testing.natural_table import BROKEN, EXPLAINS, Row, Standing, counted

COLUMNS: tuple[Standing, ...] = (*BROKEN, "silent", "false alarm", "not built")
REPORTED: tuple[Standing, ...] = ("found", "in part", "wrongly named")
HEAD = """# Naturally broken stores

Stores that broke as they break in life, and what `forensics diagnose` says of them. `forensics/testing/natural.py` does
random work with a real release of chromadb ({releases}) and lets one misfortune happen: a kill at a random system call, a
full disk, two writers, a segment directory or one of its files removed, a part put back from an older copy, other releases
in between, power lost with pages that nobody had synced. It knows no check. `forensics/testing/oracle.py` then judges by
what the user had been told and by what engines answer on copies: the newest release that had opened the store and, where
that finds nothing, {newest}. An older one is not asked: whole or not, the store may be too new for it.

{headline}

Made by `scripts/natural_corpus.py`. Engines have threads and segments random names: the same seed gives the same kind of
story, not always the same bytes. A misfortune that does not come to pass, because the file is not written that often, is
tried again with another file.
"""
HEADLINE = """**Of {broken} naturally broken stores {seen} are reported ({helped} with the embedder), {named} of them
with a code that may explain each symptom; {missed} missed, {silent_loss} without a trace. Of {sound} sound ones {alarms}
alarmed.** Last run {date}: {built} stores built, seeds {seeds}."""
WORDS = """
*found*: each symptom of each collection has a finding above a note that may explain it (table below) · *in part*: some
have · *wrongly named*: none has, though something is reported · *missed*: nothing above a note is reported · *no trace*:
nothing is reported, and it was shown that nothing could be: no journal, the same ids in SQLite, index and queue, no
watermark above the queue, and ids and documents just those that the user could read after an earlier call · *silent*: sound
and nothing reported · *false alarm*: sound by the judgement, yet something above a note is reported.
"""


def page(rows: Sequence[Row]) -> str:
    """Markdown."""
    parts = [
        HEAD.format(
            releases=", ".join(RELEASES), newest=RELEASES[-1], headline=HEADLINE.format(**figures(rows))
        ),
        "## The default diagnosis\n",
        table(rows),
        WORDS,
        "## With the embedder\n",
        "Each checked again with `--embedder`, the function that made the vectors.\n",
        table(rows, embedder=True),
        "\n## What was not found, or not by its name\n",
        *listed(rows, ("in part", "wrongly named", "missed", "no trace")),
        "\n## Alarms over sound stores\n",
        *listed(rows, ("false alarm",)),
        "\n## Which codes may explain which symptom\n",
        *(f"- `{symptom}`: {' '.join(sorted(codes))}" for symptom, codes in EXPLAINS.items()),
        "\n## Every store\n",
        *(told(row) for row in rows),
    ]
    return "\n".join(parts) + "\n"


def figures(rows: Sequence[Row]) -> dict[str, object]:
    """The numbers of the headline."""
    of, helped = counted(rows), counted(rows, embedder=True)
    return {
        "broken": sum(of[each] for each in BROKEN),
        "seen": sum(of[each] for each in REPORTED),
        "helped": sum(helped[each] for each in REPORTED),
        "named": of["found"],
        "missed": of["missed"],
        "silent_loss": of["no trace"],
        "sound": of["silent"] + of["false alarm"],
        "alarms": of["false alarm"],
        "built": len(rows) - of["not built"],
        "date": max(row.line["date"] for row in rows),
        "seeds": span(row.line["seed"] for row in rows),
    }


def span(numbers: Iterable[int]) -> str:
    """First to last, and those between that are missing."""
    there = set(numbers)
    gaps = sorted(set(range(min(there), max(there))) - there)
    without = f" without {', '.join(map(str, gaps))}" if gaps else ""
    return f"{min(there)} to {max(there)}{without}"


def table(rows: Sequence[Row], *, embedder: bool = False) -> str:
    """A row per kind, and the sum."""
    kinds = sorted({row.line["kind"] for row in rows})
    lines = [cells(["kind", "stores", "broken", *COLUMNS]), cells(["---"] * (len(COLUMNS) + 3))]
    for kind in kinds:
        lines.append(_line(kind, [row for row in rows if row.line["kind"] == kind], embedder))
    return "\n".join([*lines, _line("**all**", rows, embedder)])


def _line(title: str, rows: Sequence[Row], embedder: bool) -> str:
    of = counted(rows, embedder=embedder)
    return cells([title, len(rows), sum(of[each] for each in BROKEN), *(of[each] for each in COLUMNS)])


def cells(values: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, values)) + " |"


def listed(rows: Sequence[Row], standings: tuple[Standing, ...]) -> list[str]:
    """A paragraph each; one line where there is none."""
    chosen = [row for row in rows if row.standing in standings]
    return [told(row, why=True) for row in chosen] or ["None."]


def told(row: Row, *, why: bool = False) -> str:
    """One store in one line: standing, story, symptoms, codes."""
    symptoms = "; ".join(
        f"{name}: {', '.join(f'{symptom} {n}' for symptom, n in sorted(count.items()))}"
        for verdict in row.line.get("verdicts", ())
        for name, count in verdict["symptoms"].items()
    )
    parts = [
        f"- **{row.line['name']}** {row.standing}",
        row.line.get("not_built") or " / ".join(row.line["story"]),
        symptoms and f"symptoms: {symptoms}",
        row.codes and f"reported: {' '.join(row.codes)}",
        row.more and f"with the embedder also {' '.join(row.more)}",
        why and row.unnamed and f"without a name: {', '.join(row.unnamed)}",
        why and row.trace and f"traces: {'; '.join(row.trace.shown)}",
    ]
    return " · ".join(str(part) for part in parts if part)
