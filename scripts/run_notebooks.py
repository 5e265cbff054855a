"""Executes the notebooks in clean kernels and keeps their outputs; the only way in which outputs get into them.

python scripts/run_notebooks.py [NAME…]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat

from forensics.lab import books

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main(names: list[str]) -> int:
    """Runs the notebooks given by name (all of them without one); 1 where one of them failed, which stays as it was."""
    for name in [name for name in os.environ if name.startswith("FORENSICS_")]:
        del os.environ[name]  # each runs on its own sample
    failed = 0
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        if not names or path.stem in names or path.name in names:
            error = run(path)
            print(f"{path.name:<32} {error or 'done'}", flush=True)
            failed |= error is not None
    return int(failed)


def run(path: Path) -> str | None:
    """Afterwards `path` holds the outputs of a run from top to bottom on its own sample; the error, if there was one."""
    notebook = nbformat.read(path, as_version=4)
    error = books.run(notebook, FOLDER, {})
    if error is None:
        tidy(notebook)
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
    return error


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Takes out what differs between machines and runs: widget state and ids, times, the interpreter's minor version."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
