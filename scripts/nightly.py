"""Everything at full size, piece by piece: a piece that passed is not run again until --anew.

Usage: nightly.py [--anew] [PIECE...]        pieces: those of PIECES below; none named means all

State lies in .cache/nightly/; the figures of the last run go to tests/NIGHTLY.md, which is committed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
STATE = ROOT / ".cache" / "nightly"
FIGURES = ROOT / "tests" / "NIGHTLY.md"


@dataclass(frozen=True, slots=True)
class Piece:
    """One command of the night; `environment` makes it full size."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def state(self) -> Path:
        return STATE / f"{self.name}.json"


def tests(name: str, expression: str, *paths: str, **environment: str) -> Piece:
    words = ("-m", "pytest", "-q", "-o", "timeout=7200", "-m", expression, *(paths or ("tests",)))
    return Piece(name, words, environment)


PIECES = (
    tests("quick", "not (slow or browser or oldchroma or minilm or fault)"),
    tests("slow", "slow"),
    tests("old-releases", "oldchroma"),
    tests("faults", "fault", FORENSICS_NIGHTLY="1"),
    tests("properties", "", "tests/properties", FORENSICS_HYPOTHESIS="nightly", FORENSICS_NIGHTLY="1"),
    tests("combined", "", "tests/corpus/test_combined.py", FORENSICS_NIGHTLY="1"),
    tests("tampering", "", "tests/corpus/test_proof.py", FORENSICS_NIGHTLY="1"),
    tests("browser", "browser"),
    Piece("corpus", ("-P", "-m", "forensics.testing.corpus")),
    Piece("natural", ("scripts/natural_corpus.py", "--seeds", "0-14", "--table", "docs/NATURAL.md")),
    Piece(
        "foretold",
        (
            "-P",
            "-m",
            "forensics.testing.foretelling",
            "--damages",
            "--natural",
            "--write",
            "docs/FORETELL.md",
        ),
    ),
    Piece(
        "outcomes",
        (
            "-P",
            "-m",
            "forensics.testing.outcomes",
            "--again",
            "--natural",
            ".cache/natural",
            "--out",
            "docs/OUTCOMES.md",
        ),
    ),
    Piece("sizes", ("-m", "benchmarks.sizes")),
    Piece("benchmarks", ("-m", "benchmarks")),
)


def passed(piece: Piece) -> bool:
    return piece.state.exists() and json.loads(piece.state.read_text(encoding="utf-8"))["status"] == 0


def run(piece: Piece) -> int:
    """Runs the piece with its output shown, and notes its status, last line, seconds and date."""
    print(f"\n=== {piece.name}", flush=True)
    began = time.monotonic()
    last, status = stream([sys.executable, *piece.arguments], os.environ | piece.environment)
    note = {
        "status": status,
        "said": last.strip("= \n"),
        "seconds": round(time.monotonic() - began),
        "date": datetime.now(UTC).date().isoformat(),
    }
    STATE.mkdir(parents=True, exist_ok=True)
    piece.state.write_text(json.dumps(note), encoding="utf-8")
    return status


def stream(command: list[str], environment: dict[str, str]) -> tuple[str, int]:
    """The last line that is not empty, and the exit status."""
    last = ""
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE) as child:
        assert child.stdout
        for line in child.stdout:
            print(line, end="", flush=True)
            last = line if line.strip() else last
    return last, child.returncode


def write_figures() -> None:
    lines = [
        "# The last full-size run",
        "",
        "| piece | status | seconds | date | last line |",
        "|---|---|---|---|---|",
    ]
    for piece in PIECES:
        if piece.state.exists():
            note = json.loads(piece.state.read_text(encoding="utf-8"))
            cells = (
                piece.name,
                note["status"],
                note["seconds"],
                note["date"],
                note["said"].replace("|", "/"),
            )
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    FIGURES.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(words: list[str]) -> int:
    names = [piece.name for piece in PIECES]
    parser = argparse.ArgumentParser(
        description="Run the full-size tests and benchmarks, resumable in pieces."
    )
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help=", ".join(names))
    parser.add_argument("--anew", action="store_true", help="forget which pieces have passed")
    asked = parser.parse_args(words)
    if unknown := set(asked.pieces) - set(names):
        parser.error(f"no such piece: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    if asked.anew:
        shutil.rmtree(STATE, ignore_errors=True)
    chosen = [piece for piece in PIECES if not asked.pieces or piece.name in asked.pieces]
    statuses = [run(piece) for piece in chosen if not passed(piece)]
    write_figures()
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
