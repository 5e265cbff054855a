"""The incident report: one self-contained HTML file that opens offline, years later."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.durable import write_whole
from forensics.errors import UsageError
from forensics.proof.sealing import bind_report
from forensics.report.casefiles import read_case
from forensics.report.context import build
from forensics.report.data import Reveal
from forensics.report.render import environment, style

if TYPE_CHECKING:
    from forensics.case import Case

REPORT = "report.html"
START, END = "<main>", "</main>"


def write_report(
    case: Case, out: Path | None = None, *, include_documents: bool = False, include_ids: bool = False
) -> Path:
    """The report of the case stands at `out` (default: report.html in the case); its path.

    Ids are shortened and content is left out unless asked for. The SHA-256 of its body is in its foot and in
    the action log. Raises UsageError where `out` cannot be written.
    """
    target = case.path(REPORT) if out is None else Path(out)
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file for the report.")
    reveal = Reveal(ids=include_ids, documents=include_documents)
    linked = Path(os.path.realpath(target)).parent == case.folder
    html = render_report(case, reveal=reveal, linked=linked)
    try:
        write_whole(target, html.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.") from error
    bind_report(case, target)
    case.log("reported", file=str(target), sha256=report_hash(html))
    return target


def render_report(case: Case, *, reveal: Reveal, linked: bool) -> str:
    """The report as text; the same case at the same time gives the same bytes."""
    written = case.clock().isoformat(timespec="seconds")
    report = build(read_case(case.folder), written=written, reveal=reveal, linked=linked)
    context = report.to_context()
    templates = environment()
    body = templates.get_template("body.html.j2").render(context)
    page = templates.get_template("report.html.j2")
    digest = hashlib.sha256(body.encode("utf-8")).hexdigest()
    return page.render(title=context["title"], style=style(), body=body, digest=digest)


def report_hash(html: str) -> str:
    """The SHA-256, in hex, of what stands between <main> and </main>; the foot of the report says it."""
    start, end = html.index(START) + len(START), html.rindex(END)
    return hashlib.sha256(html[start:end].encode("utf-8")).hexdigest()
