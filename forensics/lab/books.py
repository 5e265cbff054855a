"""Where the notebooks are, and how one walk of them is copied, executed and printed."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from sqlite3 import Error as SqliteError
from typing import TYPE_CHECKING, Any

from forensics.errors import CannotComplete

if TYPE_CHECKING:
    from nbformat import NotebookNode

WALK = (
    "00_start_here",
    "01_reproduce_the_failure",
    "02_read_the_segments",
    "03_count_the_orphans",
    "04_map_the_labels",
    "05_repair_and_verify",
    "06_write_the_report",
)
DEPTH = ("10_inspect_the_graph", "11_inspect_the_records", "12_draw_the_timeline")
"""Beside the walk: each looks into one thing, and none of them changes anything."""
SHOWN = ("text/html", "image/svg+xml", "image/png", "text/markdown", "text/plain")
"""What a printed notebook shows of an output, the best first; live widgets mean nothing on paper."""


def notebooks() -> Path:
    """The folder `notebooks/` of the checkout beside this package, or `$FORENSICS_NOTEBOOKS`."""
    given = os.environ.get("FORENSICS_NOTEBOOKS")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "notebooks"
    if not (folder / f"{WALK[0]}.ipynb").is_file():
        raise CannotComplete(
            f"There are no notebooks in {folder}; use a checkout, or set FORENSICS_NOTEBOOKS to its folder."
        )
    return folder


def copy_into(folder: Path, *, keep_outputs: bool = False) -> Path:
    """A writable copy of the walk and of those in depth; notebooks that are there already stay.

    Outputs of another store are left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*WALK, *DEPTH):
        target = folder / f"{name}.ipynb"
        if not target.exists():
            book = _read(notebooks() / target.name)
            _write(book if keep_outputs else _cleared(book), target)
    return folder


def _read(path: Path) -> NotebookNode:
    import nbformat

    return nbformat.read(path, as_version=4)


def _write(book: NotebookNode, path: Path) -> None:
    """The notebook stands at `path`, and Jupyter trusts it: its HTML is shown as it is."""
    import nbformat
    from nbformat.sign import NotebookNotary

    nbformat.write(book, path)
    with suppress(
        OSError, SqliteError
    ):  # a home that cannot be written: JupyterLab then shows plainer outputs
        NotebookNotary().sign(book)


def _cleared(book: NotebookNode) -> NotebookNode:
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return book


def execute(
    folder: Path, environment: Mapping[str, str], names: Sequence[str] | None = None
) -> Iterator[tuple[str, str | None]]:
    """Runs the walk in `folder` (or the notebooks named) and keeps it executed; yields each name with its error or None."""
    for name in names or WALK:
        path = folder / f"{name}.ipynb"
        book = _read(path)
        error = run(book, folder, environment)
        _write(book, path)
        yield name, error


def run(book: NotebookNode, folder: Path, environment: Mapping[str, str]) -> str | None:
    """Executes a notebook in a new kernel, up to its first error, which is returned in one line."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    quiet: dict[str, Any] = {
        "extra_arguments": ["--IPKernelApp.log_level=40"],
        "resources": {"metadata": {"path": str(folder)}},
        "store_widget_state": False,
        "timeout": None,
        "kernel_name": "python3",
    }
    try:
        NotebookClient(book, **quiet).execute(env={**os.environ, "PYTHONWARNINGS": "ignore", **environment})
    except CellExecutionError as raised:
        return f"{raised.ename}: {raised.evalue}"
    except DeadKernelError as raised:
        return str(raised)
    return None


def to_html(path: Path) -> Path:
    """The executed notebook as one HTML file beside it that loads nothing from elsewhere."""
    from nbconvert.exporters import HTMLExporter
    from traitlets.config import Config

    settings = Config({"NbConvertBase": {"display_data_priority": list(SHOWN)}})
    exporter = HTMLExporter(config=settings, template_name="basic")
    exporter.anchor_link_text = ""
    body, _ = exporter.from_notebook_node(_read(path))
    target = path.with_suffix(".html")
    target.write_text(
        _PAGE.format(title=html.escape(path.stem), steps=_steps(path.stem), body=body), encoding="utf-8"
    )
    return target


def _steps(here: str) -> str:
    """Links to the other notebooks of the walk."""
    links = (
        f"<b>{name[:2]}</b>"
        if name == here
        else f'<a href="{name}.html" title="{name[3:].replace("_", " ")}">{name[:2]}</a>'
        for name in WALK
    )
    return " ".join(links)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>
body {{ font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; max-width: 66rem;
  margin: 2rem auto 5rem; padding: 0 1.2rem; color: #1b1f24; background: #fff; }}
nav {{ color: #57606a; border-bottom: 1px solid #d0d7de; padding-bottom: .4rem; }}
nav a, nav b {{ display: inline-block; padding: 0 .35rem; }} a {{ color: #0b57a4; }}
h1 {{ font-size: 1.7rem; margin: 1.2rem 0 .4rem; }} h2 {{ font-size: 1.22rem; margin: 2rem 0 .4rem; }}
code {{ background: #f6f8fa; padding: .08rem .3rem; border-radius: 4px; font-size: .9em; }}
pre {{ font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", "Liberation Mono", monospace; overflow-x: auto; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }}
pre code {{ background: none; padding: 0; }}
.jp-InputArea-editor, .input_area {{ background: #f6f8fa; border: 1px solid #e4e8ec; border-radius: 6px;
  padding: .5rem .8rem; margin: .5rem 0; color: #39424c; }}
.jp-OutputArea-output, .output_subarea {{ padding: .2rem 0 .2rem .2rem; }}
.jp-InputPrompt, .jp-OutputPrompt, .prompt, .jp-Collapser, .anchor-link {{ display: none; }}
table {{ border-collapse: collapse; font-size: .93em; margin: .5rem 0 1rem; }}
th, td {{ padding: .28rem .7rem; border-bottom: 1px solid #d0d7de; text-align: left; vertical-align: top; }}
img {{ max-width: 100%; }}
.k, .kn, .ow, .kc {{ color: #8250a5; }} .s1, .s2, .sa, .si {{ color: #17633a; }} .c1 {{ color: #57606a; }}
.mi, .mf {{ color: #0b57a4; }} .nb {{ color: #0b57a4; }}
</style></head><body>
<nav>Walk: {steps}</nav>
{body}
</body></html>
"""
