"""Make the virtual environments of old chromadb releases that are not there yet, and print where each one is.

Usage: make_releases.py VERSION...
"""

from __future__ import annotations

import sys

from forensics.engine.releases import release_python

if __name__ == "__main__":
    for version in sys.argv[1:]:
        print(version, release_python(version, create=True), flush=True)
