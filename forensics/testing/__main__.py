"""One damage, done to its sample in a new folder, to look at what a diagnosis says of it.

python -m forensics.testing                       the menu
python -m forensics.testing NAME FOLDER           the damage of that name; or a sample or kept healthy store as it is
python -m forensics.testing CODE FOLDER           what no file shows (a process, a full disk): done, and diagnosed
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from forensics import samples
from forensics.errors import ForensicsError, UsageError
from forensics.testing import healthy_kept
from forensics.testing.damage import HEALTHY, damage_menu
from forensics.testing.otherwise import WAYS, possible
from forensics.testing.showing import EMBEDDER


def reproduced(name: str, folder: Path, seed: int = 0) -> str:
    """What to type next, or what was found. The folder must be absent or empty; UsageError for an unknown name."""
    menu = damage_menu()
    if name in WAYS:
        return _otherwise(name, folder)
    if name in healthy_kept.KEPT:
        return f"forensics diagnose {healthy_kept.restore(name, folder)} -v"
    if name not in menu:
        return f"forensics diagnose {samples.restore(name, folder)} -v"
    store = samples.restore(menu[name].sample, folder)
    menu[name](store, seed)
    return f"forensics diagnose {store}{needs(name)}"


def needs(name: str) -> str:
    """The options that a diagnosis takes to see that damage: all of it, notes too."""
    entry = damage_menu()[name]
    return " --deep" * entry.deep + f" --embedder {EMBEDDER}" * entry.embedder


def _otherwise(code: str, folder: Path) -> str:
    if why := possible(code):
        raise UsageError(f"{code} cannot be shown here: {why}.")
    codes = WAYS[code](samples.restore(HEALTHY, folder))
    return f"{WAYS[code].__doc__} Found: {' '.join(codes)}"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m forensics.testing", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(words)
    if asked.name is None:
        sys.stdout.write(f"{damage_menu()!r}\n")
        return 0
    if asked.folder is None:
        parser.error("say into which new folder")
    try:
        sys.stdout.write(reproduced(asked.name, asked.folder, asked.seed) + "\n")
    except ForensicsError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
