"""Which release of a package is installed, from the names of its metadata; importlib.metadata takes a tenth of a
second to be imported, and is asked only where they do not say it.
"""

from __future__ import annotations

import os
import sys

ENDS = ".dist-info"


def version_of(package: str) -> str | None:
    """The version that an import of this interpreter would find; None where it is not installed."""
    start = package.replace("-", "_").lower() + "-"
    for folder in sys.path:
        for name in _names(folder):
            if name.endswith(ENDS) and name.lower().startswith(start):
                return name[len(start) : -len(ENDS)]
    return _told(package)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:  # a zip file, or a folder that is not there
        return []


def _told(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
