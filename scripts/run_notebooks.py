"""Executes the notebooks in clean kernels and keeps their outputs; the only way in which outputs get into them.

    python scripts/run_notebooks.py [NAME…]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def main(names: list[str]) -> int:
    """Runs the notebooks given by name (all of them without one)."""
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        if not names or path.stem in names or path.name in names:
            print(path.name, flush=True)
            run(path)
    return 0


def run(path: Path) -> None:
    """Afterwards `path` holds the outputs of a run from top to bottom on its own sample."""
    notebook = nbformat.read(path, as_version=4)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FORENSICS_")}
    NotebookClient(notebook, timeout=300, kernel_name="python3", extra_arguments=["--IPKernelApp.log_level=40"], resources={"metadata": {"path": str(FOLDER)}}).execute(
        env=environment
    )
    tidy(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Takes out what differs between machines and runs: widget state, times, the interpreter's minor version."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
