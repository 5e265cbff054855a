"""The verbs that look, copy and explain: the answers of diagnose, past, probe, copy, explain and lab."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forensics import verbs
from forensics.cli_answer import Answer, labelled, pair, watched, why_incomplete, would
from forensics.cli_arguments import codes
from forensics.codes import catalogue
from forensics.errors import EXIT_FOUND, EXIT_INCOMPLETE
from forensics.report.plain import counted, wrapped

if TYPE_CHECKING:
    from argparse import Namespace


def diagnose(options: Namespace) -> Answer:
    """Bits 4 and 8 as the diagnosis says; writes nothing but the case that was asked for."""
    from forensics.report.text import diagnosis_text

    kept = None if options.dry_run or not options.case else options.case
    with watched(options) as bar:
        found = verbs.diagnose(
            options.store,
            **pair(options),
            metadata_segment=options.metadata_segment,
            only=codes(options.only),
            skip=codes(options.skip),
            deep=options.deep,
            embedder=options.embedder,
            batch_size=options.batch_size,
            requests_per_minute=options.requests_per_minute,
            also=options.also,
            source=options.source,
            case=kept,
            progress=bar,
        )
    case = None if kept is None else Path(kept)
    told = diagnosis_text(found, case=case, path=True, brief=not options.verbose)
    text = told + (f"\n\n{labelled('case', case)}" if case else "")
    data = found.to_json()
    kept_in = {"case": str(case)} if case else {}
    return Answer({**data, **kept_in}, text, found.exit_status, why_incomplete(data))


def probe(options: Namespace) -> Answer:
    """0 where every call returned the truth; bits 4 where one did not, 8 where what one does is not known."""
    from forensics.probing import exit_status
    from forensics.report.text import probe_text

    if options.dry_run:
        return would(f"Each call would be made on a throw-away copy of {options.store}, in a child.")
    with watched(options) as bar:
        result = verbs.probe(
            options.store, **pair(options), versions=options.chromadb, case=options.case, progress=bar
        )
    where = f"\n\n{labelled('case', options.case)}" if options.case else ""
    return Answer(result, probe_text(result) + where, exit_status(result))


def past(options: Namespace) -> Answer:
    """0; bit 8 where a place could not be examined."""
    from forensics.report.past import past_text

    kept = None if options.dry_run or not options.case else options.case
    found = verbs.past(options.store, **pair(options), case=kept)
    data = found.to_json()
    where = f"\n\n{labelled('case', kept)}" if kept else ""
    lacking = [place for place, _ in found.not_examined]
    error = f"Not complete: {'; '.join(lacking)} could not be examined." if lacking else None
    kept_in = {"case": str(kept)} if kept else {}
    return Answer({**data, **kept_in}, past_text(data) + where, EXIT_INCOMPLETE if lacking else 0, error)


def foretell(options: Namespace) -> Answer:
    """0 where nothing would be destroyed; bit 4 where a call would destroy vectors, or may."""
    from forensics.report.foretold import foretold_text

    kept = None if options.dry_run or not options.case else options.case
    found = verbs.foretell(options.store, options.chromadb, **pair(options), case=kept)
    where = f"\n\n{labelled('case', kept)}" if kept else ""
    data = {**found.to_json(), **({"case": str(kept)} if kept else {})}
    return Answer(data, foretold_text(data) + where, EXIT_FOUND if found.destroys else 0)


def explain(options: Namespace) -> Answer:
    """The page; without a code every code with its name."""
    if options.what is None:
        rows = catalogue().values()
        text = told = "\n".join(f"{row.code} {row.name} ({row.severity}): {row.defect}" for row in rows)
    else:
        told = verbs.explain(options.what)
        text = _fitted(told)
    return Answer({"schema": 1, "query": options.what, "text": told}, text)


def _fitted(page: str) -> str:
    """The page with its paragraphs and lists as wide as the terminal; headings, tables and code stay as they are."""
    return "\n\n".join(_block_fitted(block) for block in page.split("\n\n"))


def _block_fitted(block: str) -> str:
    if block.startswith(("#", "|", "```", " ", *"123456789")):
        return block
    items = [" ".join(item.split()) for item in f"\n{block}".split("\n- ")]
    listed = (wrapped(f"- {item}", "  ", "") for item in items[1:])
    return "\n".join([*([wrapped(items[0])] if items[0] else []), *listed])


def copy(options: Namespace) -> Answer:
    """What was copied."""
    if options.dry_run:
        return would(f"{options.store} would be copied to {options.dest}.")
    made = verbs.copy(options.store, options.dest)
    count, size = len(made.entries), sum(entry.size for entry in made.entries if entry.kind == "file")
    text = f"{counted(count, 'entry')}, {counted(size, 'byte')} apparent, copied to {options.dest} and verified by hash."
    return Answer({"schema": 1, "dest": str(options.dest), "entries": count, "bytes": size}, text)


def lab(options: Namespace) -> Answer:
    """JupyterLab until it is ended, which is no failure."""
    verbs.needs("jupyterlab", "The lab")
    verbs.needs("ipywidgets", "The lab")
    if options.dry_run:
        return would(f"JupyterLab would be opened on {options.store or 'a scratch copy of a sample'}.")
    from forensics.lab.launch import launch

    _same_store(options)
    with _left_to_the_child():
        status = launch(options.store, case=options.case, port=options.port, browser=not options.no_browser)
    error = f"JupyterLab ended with status {status}." if status else None
    return Answer({"schema": 1, "status": status}, "", EXIT_INCOMPLETE if status else 0, error)


def _same_store(options: Namespace) -> None:
    """Raises UsageError where the case that was named is that of another store, or there is no such store."""
    from forensics.store import open_store
    from forensics.verbs_case import case_for

    if options.store is not None and Path(options.store).exists():
        with open_store(options.store) as store:
            path = store.path
        if options.case and (Path(options.case) / "case.json").exists():
            case_for(options.case, path)


@contextmanager
def _left_to_the_child() -> Generator[None]:
    """Ctrl-C inside the block is for the child, which shares the terminal: JupyterLab asks before it ends."""
    import signal

    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
