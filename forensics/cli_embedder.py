"""The answer of the verb that tries an embedder, or gives a template of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics import verbs
from forensics.cli_answer import Answer, labelled, pair, would
from forensics.embedder_check import FAILED, NOTHING, EmbedderCheck

if TYPE_CHECKING:
    from argparse import Namespace


def embedder(options: Namespace) -> Answer:
    """0 where it reproduces what survives; bits 4 where it does not, 8 where nothing survives or it gives nothing."""
    if options.dry_run and options.template is None:
        return would(f"{options.embedder} would embed a sample of the documents of {options.store}.")
    found = verbs.embedder(
        options.store,
        options.embedder,
        check=options.check,
        template=options.template,
        batch_size=options.batch_size,
        requests_per_minute=options.requests_per_minute,
        **pair(options),
        metadata_segment=options.metadata_segment,
        case=options.case,
    )
    if isinstance(found, str):
        return Answer({"schema": 1, "template": options.template, "text": found}, found)
    where = f"\n\n{labelled('case', options.case)}" if options.case else ""
    kept_in = {"case": str(options.case)} if options.case else {}
    return Answer({**found.to_json(), **kept_in}, f"{found!r}{where}", found.exit_status, _error(found))


def _error(found: EmbedderCheck) -> str | None:
    """One sentence where it is not complete."""
    open_ = [
        f"{each.collection}: {each.reason}" for each in found.collections if each.verdict in (NOTHING, FAILED)
    ]
    return f"Not complete: {'; '.join(open_[:3]).rstrip('.')}." if found.exit_status & 8 else None
