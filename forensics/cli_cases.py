"""The verbs on a case: the answers of verify, undo, report, case release and export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forensics import verbs
from forensics.cli_answer import Answer, labelled, need_case, pair, refuse_less, watched, would
from forensics.errors import EXIT_FOUND, EXIT_INCOMPLETE
from forensics.report.plain import counted

if TYPE_CHECKING:
    from argparse import Namespace


def verify(options: Namespace) -> Answer:
    """4 where something above a note is left, 8 where a test failed."""
    from forensics.report.text import verdict_text

    if options.dry_run:
        return would(
            f"The checks of {need_case(options)} would run again, and the engine on a throw-away copy."
        )
    with watched(options) as bar:
        verdict = verbs.verify(need_case(options), engine=options.engine, progress=bar)
    status = (EXIT_FOUND if verdict.remaining else 0) | (0 if verdict.passed else EXIT_INCOMPLETE)
    failed = [f"{test.name}: {test.detail}" for test in verdict.tests if not test.passed]
    error = f"Not verified: {'; '.join(failed[:3])}." if failed else None
    return Answer(verdict.to_json(), verdict_text(verdict), status, error)


def undo(options: Namespace) -> Answer:
    """0 where the store is byte for byte what it was; 8 where something about it differs."""
    from forensics.verbs_case import case_of

    refuse_less(options)
    case = case_of(need_case(options))
    if options.dry_run:
        return would(f"The repair of {case.store} would be taken back.")
    result = verbs.undo(
        case, discard_later_writes=options.discard_later_writes, nobody_else=options.nobody_else_uses_it
    )
    original = result["state"] == "original"
    what = "as it was before the repair" if original else "the repaired one again"
    again = "brings the repair back" if original else "takes the repair back once more"
    way = f"\n{labelled('again', f'forensics undo --case {case.folder}')}  ({again})"
    if result["as_before"]:
        return Answer(result, f"The store is {what}, byte for byte.{way}")
    error = f"The store is {what}, but for: {result['differences']}."
    return Answer(result, f"The store is {what}.{way}", EXIT_INCOMPLETE, error)


def report(options: Namespace) -> Answer:
    """The path of the report."""
    if options.dry_run:
        return would(f"The report of {need_case(options)} would be written.")
    path = verbs.report(
        need_case(options),
        options.output,
        include_documents=options.include_documents,
        include_ids=options.include_ids,
    )
    return Answer({"schema": 1, "report": str(path)}, labelled("report", path))


def case(options: Namespace) -> Answer:
    """`release`: what is kept for an undo is deleted."""
    from forensics.verbs_case import case_of

    refuse_less(options)
    opened = case_of(need_case(options))
    if options.dry_run:
        return would(f"What is kept for an undo of {opened.store} would be deleted.")
    result = verbs.release(opened)
    kept = "The original" if result["state"] == "repaired" else "The repaired store"
    freed = counted(result["freed"], "byte")
    return Answer(result, f"{kept} is deleted ({freed}); there is no undo any more.")


def export(options: Namespace) -> Answer:
    """8 where the records of a collection cannot be read."""
    if options.dry_run:
        return would(f"The records of {need_case(options)} would be written as {options.to}.")
    result = verbs.export(
        need_case(options),
        options.to,
        options.output,
        **pair(options),
        metadata_segment=options.metadata_segment,
        anonymous=options.anonymous,
    )
    without = result["without_vector"]
    lacking = f"{without:,} {'has' if without == 1 else 'have'} no vector"
    text = f"{counted(result['records'], 'record')} written to {result['file']}; {lacking}.{_beside(result)}"
    error = _not_exported(result)
    return Answer(result, text, EXIT_INCOMPLETE if error else 0, error)


def _beside(result: Mapping[str, Any]) -> str:
    """What the file holds besides records."""
    told = [
        f"{counted(result[name], unit)} {what}"
        for name, unit, what in (
            ("ghosts", "vector", "under an id without a row (state ghost)"),
            ("anonymous", "vector", "under no id (state anonymous)"),
        )
        if result[name]
    ]
    return f" Besides: {' and '.join(told)}." if told else ""


def _not_exported(result: Mapping[str, Any]) -> str | None:
    """What could not be read, in one sentence each; None where all was."""
    unread = [f"{name or 'the catalogue'} ({reason})" for name, reason in result["unreadable"].items()]
    partly = [f"{name} ({reason})" for name, reason in result["incomplete"].items()]
    content = result["without_content"]
    told = (
        f"The records of these collections cannot be read: {', '.join(unread)}." if unread else "",
        f"Of these collections not all rows can be read: {', '.join(partly)}." if partly else "",
        f"Document or metadata of {counted(content, 'record')} cannot be read." if content else "",
    )
    return " ".join(text for text in told if text) or None
