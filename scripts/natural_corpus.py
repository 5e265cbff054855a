"""Builds and judges naturally broken stores, then says what the checks make of them.

Usage: natural_corpus.py [--seeds 0-14] [--kinds killed,hopped] [--part 1/2] [--again] [--table FILE]

State lies in .cache/natural/; a store that has its line there is not built again. `--table` diagnoses all of them and
writes the page (docs/NATURAL.md is one).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from forensics.testing.natural import MISFORTUNES
from forensics.testing.natural_corpus import FOLDER, Case, cases, lines, run
from forensics.testing.natural_page import page, table
from forensics.testing.natural_table import row


def seeds(text: str) -> list[int]:
    """`3` or `0-14`."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def write_page(file: Path) -> None:
    """Every store that is there, diagnosed; the table is printed."""
    rows = [row(Case(line["kind"], line["seed"]), line) for line in lines()]
    file.write_text(page(rows), encoding="utf-8")
    print(table(rows))


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Build, judge and diagnose naturally broken stores.")
    parser.add_argument("--kinds", default=",".join(MISFORTUNES))
    parser.add_argument("--seeds", type=seeds, default=seeds("0-14"))
    parser.add_argument("--part", default="1/1", help="which part of how many, to run several at once")
    parser.add_argument("--again", action="store_true", help="judge those anew that are there")
    parser.add_argument("--table", type=Path, help="diagnose all that are there and write this page")
    asked = parser.parse_args(words)
    part, parts = map(int, asked.part.split("/"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for line in run(cases(asked.kinds.split(","), asked.seeds)[part - 1 :: parts], again=asked.again):
        print(json.dumps(line), flush=True)
    if asked.table:
        write_page(asked.table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
