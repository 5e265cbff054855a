"""Where the notebooks are, and how one walk of them is executed on a store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from forensics.errors import CannotComplete

WALK = (
    "00_start_here",
    "01_reproduce_the_failure",
    "02_read_the_segments",
    "03_count_the_orphans",
    "04_map_the_labels",
    "05_repair_and_verify",
    "06_write_the_report",
)


def notebooks() -> Path:
    """The folder `notebooks/` of the checkout beside this package, or `$FORENSICS_NOTEBOOKS`."""
    given = os.environ.get("FORENSICS_NOTEBOOKS")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "notebooks"
    if not (folder / f"{WALK[0]}.ipynb").is_file():
        raise CannotComplete(f"There are no notebooks in {folder}; use a checkout, or set FORENSICS_NOTEBOOKS to its folder.")
    return folder


def copy_into(folder: Path) -> Path:
    """A writable copy of the notebooks of the walk, without outputs of other stores; notebooks there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in WALK:
        if not (folder / f"{name}.ipynb").exists():
            shutil.copyfile(notebooks() / f"{name}.ipynb", folder / f"{name}.ipynb")
    return folder


def execute(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Runs the notebooks of `folder` in order, keeps them executed; yields each name with its error or None."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    for name in WALK:
        path = folder / f"{name}.ipynb"
        book = nbformat.read(path, as_version=4)
        client = NotebookClient(book, timeout=None, kernel_name="python3", extra_arguments=["--IPKernelApp.log_level=40"], resources={"metadata": {"path": str(folder)}})
        error = None
        try:
            client.execute(env={**os.environ, **environment})
        except CellExecutionError as raised:
            error = f"{raised.ename}: {raised.evalue}"
        nbformat.write(book, path)
        yield name, error


def to_html(path: Path) -> Path:
    """The executed notebook as one HTML file that loads nothing from elsewhere."""
    import nbformat
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(template_name="basic")
    body, _ = exporter.from_notebook_node(nbformat.read(path, as_version=4))
    target = path.with_suffix(".html")
    target.write_text(_PAGE.format(title=path.stem, body=body), encoding="utf-8")
    return target


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff; }}
pre {{ background: #f5f7f9; padding: .6rem .8rem; overflow-x: auto; border-radius: 4px; font-size: .85rem; }}
.jp-InputPrompt, .jp-OutputPrompt, .prompt, .anchor-link {{ display: none; }}
table {{ border-collapse: collapse; font-size: .9rem; }} th, td {{ padding: .25rem .6rem; border-bottom: 1px solid #dde2e7; text-align: left; }}
img {{ max-width: 100%; }}
</style></head><body>
{body}
</body></html>
"""
