"""The verbs that bring back what is nearly gone: what may be typed for rescue and restore-quarantined, and the answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forensics import verbs
from forensics.cli_answer import Answer, labelled, watched, would
from forensics.cli_text import complain
from forensics.errors import EXIT_INCOMPLETE

if TYPE_CHECKING:
    from argparse import Namespace


def rescue(options: Namespace) -> Answer:
    """8 where a file was written each time while it was copied."""
    complain(
        f"Do not stop process {options.pid} before this is done: what it holds open ends with it.",
        style="yellow",
    )
    if options.dry_run:
        from forensics.rescuing import held_files

        names = ", ".join(each.path for each in held_files(options.pid))
        return would(f"These deleted files would be copied out of process {options.pid}: {names}.")
    asked = {name: getattr(options, name) for name in ("embedder", "batch_size", "requests_per_minute")}
    result = verbs.rescue(options.pid, options.to, **asked)
    changed = [file["path"] for store in result["stores"] for file in store["files"] if file["changed"]]
    error = (
        f"These files were written while they were copied: {', '.join(changed)}; ask again."
        if changed
        else None
    )
    return Answer(result, _rescued(result), EXIT_INCOMPLETE if changed else 0, error)


def _rescued(result: dict[str, Any]) -> str:
    """What was copied of each store, and how it is given to a repair."""
    blocks: list[str] = []
    for store in result["stores"]:
        files = "\n".join(
            f"  {file['path']}  {file['size']:,} bytes  {file['sha256'][:16]}…" for file in store["files"]
        )
        after = f"forensics repair {store['store']} --also {store['folder']}"
        lines = [
            f"Copied of {store['store']}:",
            files,
            labelled("id map", store["id_map"]),
            labelled("folder", store["folder"]),
        ]
        blocks.append(
            "\n".join([*lines, labelled("then", f"{after}  (once process {result['pid']} has ended)")])
        )
    return "\n\n".join(blocks)


def restore_quarantined(options: Namespace) -> Answer:
    """As `apply`: without --yes the plan is shown, which then lies in a case of its own."""
    from forensics.cli_repairing import _carried_out
    from forensics.report.text import plan_text
    from forensics.verbs_case import case_of

    with watched(options) as bar:
        given = {"store": options.store, "case": options.case, "engine": options.engine}
        shown = verbs.restore_quarantined(options.file, **given, progress=bar)
    options.in_place = None  # rows go back into the database, which is never changed where it stands
    answer = _carried_out(options, case_of(shown["case"]), yes=options.yes and not options.dry_run)
    if "plan" not in answer.data:
        return answer
    follow = labelled("next", f"forensics apply --case {shown['case']} --yes")
    return replace(answer, text=f"{plan_text(answer.data['plan'])}\n\n{answer.text}\n{follow}")
