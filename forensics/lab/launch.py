"""`forensics lab`: JupyterLab on loopback, on the notebooks of a case of that store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import forensics as fx
from forensics import samples
from forensics.case import Case
from forensics.lab import books
from forensics.lab.session import CASE, SAMPLE, STORE, YES

SAMPLE_NAME = "FORENSICS_SAMPLE_NAME"


def launch(store: str | None, *, case: str | None = None, port: int = 8888, browser: bool = True) -> int:
    """Opens notebook 00 on `store` (None: a scratch copy of the sample peek-failure); returns JupyterLab's status.

    The notebooks are copied into the case, so that what is run there belongs to it.
    """
    sample = SAMPLE if store is None else None
    path = samples.restore(SAMPLE) if store is None else Path(store)
    opened = _case(path, case, sample)
    folder = books.copy_into(opened.folder / "notebooks")
    print(f"Case       {opened.folder}\nNotebook   {folder / books.WALK[0]}.ipynb", file=sys.stderr, flush=True)
    environment = {
        **os.environ,
        STORE: str(path.resolve()),
        CASE: str(opened.folder),
        SAMPLE_NAME: sample or "",
        YES: os.environ.get(YES, "1"),
    }
    return subprocess.run(command(folder, port, browser), env=environment, check=False).returncode


def _case(path: Path, case: str | None, sample: str | None) -> Case:
    folder = Path(case) if case else None
    if folder is not None and (folder / "case.json").exists():
        return Case.open(folder)
    with fx.open_store(path) as store:
        return Case.create(folder, store.path, case_id="demo" if sample else None)


def command(folder: Path, port: int, browser: bool) -> list[str]:
    """The command line of JupyterLab: loopback only, notebook 00 open, no news from elsewhere."""
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    words += [f"--LabApp.default_url=/lab/tree/{books.WALK[0]}.ipynb", "--LabApp.news_url="]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--ServerApp.allow_root=True")
    return words if browser else [*words, "--no-browser"]
