"""The python that holds a given chromadb release: found in a folder of virtual environments, or made there.

Looked at in this order: the running interpreter, `$FORENSICS_RELEASES/<version>/`, the cache
`~/.cache/chroma-forensics/releases/<version>/`. Nothing is installed unless `create=True` asks for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from forensics.engine.installed import version_of

VARIABLE = "FORENSICS_RELEASES"


def release_python(version: str, *, create: bool = False) -> Path | None:
    """The interpreter that imports exactly chromadb `version`, or None where there is none.

    With `create`, a missing one is installed into the cache (by uv, else by venv and pip; minutes, network).
    Raises ValueError for what is no release number and RuntimeError when an installation fails."""
    if not version or not all(part.isalnum() for part in version.split(".")):
        raise ValueError(f"{version!r} is not a chromadb release number")
    if installed_beside() == version:
        return Path(sys.executable)
    for folder in folders():
        python = _python(folder / version)
        if python.is_file() and _holds(folder / version, version):
            return python
    return _create(version) if create else None


def installed_beside() -> str | None:
    """The chromadb release of the running interpreter, read from its metadata without importing it."""
    return version_of("chromadb")


def folders() -> list[Path]:
    """Where releases are looked for, first choice first; the last one is where they are made."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chroma-forensics" / "releases"
    given = os.environ.get(VARIABLE)
    return [Path(given).expanduser(), cache] if given else [cache]


def requirements(version: str) -> list[str]:
    """What to install for a release; chromadb before 0.6 was written for the numpy of its day."""
    old = version.split(".")[0] == "0"
    return [f"chromadb=={version}", "numpy<2" if old else "numpy"]


def _python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _holds(environment: Path, version: str) -> bool:
    pattern = f"chromadb-{version}.dist-info"
    return (
        any(environment.glob(f"lib/python*/site-packages/{pattern}"))
        or (environment / "Lib" / "site-packages" / pattern).is_dir()
    )


def _create(version: str) -> Path:
    """Makes the environment under a temporary name and renames it, so that a half-made one is never found."""
    target = folders()[-1] / version
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=target.parent)) / "environment"
    try:
        install(draft, requirements(version))
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft.parent, ignore_errors=True)
    return _python(target)


def install(environment: Path, packages: Sequence[str]) -> None:
    """A new virtual environment with these packages, by uv or else by venv and pip. Raises RuntimeError in one sentence."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        _run([uv, "venv", "--quiet", "--python", own, str(environment)])
        _run([uv, "pip", "install", "--quiet", "--python", str(_python(environment)), *packages])
    else:
        _run([sys.executable, "-m", "venv", str(environment)])
        _run([str(_python(environment)), "-m", "pip", "install", "--quiet", *packages])


def _run(command: list[str]) -> None:
    trusting = {**os.environ, "UV_SYSTEM_CERTS": "true"}  # as pip does where it is told to
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=trusting)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise RuntimeError(f"{' '.join(command[:3])} … ended with {done.returncode}: {' '.join(reason)}")
