"""Builds every sample again, each with the chromadb release that it pins: `python make_all.py [NAME …]`.

Missing releases are installed into the cache (see forensics.engine.releases). Segment ids, times and what
Chroma leaves uninitialised differ from build to build; records, vectors, findings and symptoms do not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

from forensics.engine.releases import release_python  # noqa: E402 - found beside this file, installed or not


def main(names: list[str]) -> int:
    """The number of samples that could not be built."""
    chosen = [path for path in sorted(FOLDER.glob("*/*/make.py")) if not names or path.parent.name in names]
    failed = 0
    for path in chosen:
        python = release_python(path.parents[1].name, create=True)
        done = subprocess.run([str(python), "-P", str(path)], check=False)
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
