"""Print the requirements of one dependency group of pyproject.toml, one a line."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

if __name__ == "__main__":
    with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as file:
        print("\n".join(tomllib.load(file)["dependency-groups"][sys.argv[1]]))
