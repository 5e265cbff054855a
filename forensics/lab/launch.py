"""`forensics lab`: JupyterLab on loopback, on the notebooks of a case of that store."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import forensics as fx
from forensics.case import Case
from forensics.lab import books
from forensics.lab.session import (
    CASE,
    EMBEDDER,
    SAMPLE,
    SAMPLE_EMBEDDER,
    SAMPLE_NAME,
    STORE,
    YES,
    restored,
    samples_by_name,
)

SETTINGS = Path(__file__).with_name("settings")


def launch(store: str | None, *, case: str | None = None, port: int = 8888, browser: bool = True) -> int:
    """Opens notebook 00 on `store` (None: a scratch copy of the sample peek-failure); returns JupyterLab's status.

    The notebooks are copied into the case, so that what is run there belongs to it.
    """
    path, sample = place(store)
    opened = open_case(path, Path(case) if case else None, sample)
    folder = books.copy_into(opened.folder / "notebooks", keep_outputs=sample == SAMPLE)
    sys.stderr.write(f"Case       {opened.folder}\nNotebook   {folder / books.WALK[0]}.ipynb\n")
    environment = {**os.environ, **quiet(), **walk_environment(path, opened, sample, yes=said_yes())}
    return subprocess.run(command(folder, port, browser), env=environment, check=False).returncode


def place(store: str | None) -> tuple[Path, str | None]:
    """Where the store of a walk is, and which sample it is a copy of. A path wins over a sample of that name."""
    if store is not None and (os.path.exists(store) or store not in samples_by_name()):
        return Path(os.path.abspath(store)), None
    name = store or SAMPLE
    return restored(name), name


def open_case(store: Path, folder: Path | None, sample: str | None) -> Case:
    """The case in `folder`, or a new one for that store. Raises NotAStore where there is none."""
    with fx.open_store(store) as opened:
        path = opened.path
    if folder is not None and (folder / "case.json").exists():
        found = Case.open(folder)
        if found.store == path:
            return found
    return Case.create(folder, path, case_id="demo" if sample else None)


def walk_environment(
    store: Path, case: Case, sample: str | None, *, yes: bool, embedder: str | None = None
) -> dict[str, str]:
    """What the kernels of a walk are told. `yes` lets cells type the confirmation by themselves."""
    chosen = embedder or os.environ.get(EMBEDDER) or (SAMPLE_EMBEDDER if sample else "")
    told: Mapping[str, str] = {
        STORE: str(store),
        CASE: str(case.folder),
        SAMPLE_NAME: sample or "",
        EMBEDDER: chosen,
    }
    return {**told, YES: "1" if yes or sample else "0"}


def quiet() -> dict[str, str]:
    """JupyterLab reads our settings before the user's own: it asks nobody for news."""
    paths = (str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", ""))
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in paths if path)}


def said_yes() -> bool:
    return os.environ.get(YES, "") not in ("", "0", "no")


def command(folder: Path, port: int, browser: bool) -> list[str]:
    """The command line of JupyterLab: loopback only, notebook 00 open."""
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1"]
    words += [
        f"--ServerApp.port={port}",
        f"--LabApp.default_url=/lab/workspaces/{_workspace(folder)}/tree/{books.WALK[0]}.ipynb",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--ServerApp.allow_root=True")
    return words if browser else [*words, "--no-browser"]


def _workspace(folder: Path) -> str:
    """The name of the layout that JupyterLab keeps: one per case, so that no tab of another comes back."""
    return f"forensics-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
