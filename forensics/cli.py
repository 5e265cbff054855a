"""Arguments → verbs → exit status. The only module that prints.

Exit status is a bit field: 0 nothing above a note is left · 4 something is · 8 could not complete · 16 usage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from forensics import verbs
from forensics.cli_arguments import build_parser, codes
from forensics.codes import lookup
from forensics.errors import EXIT_FOUND, EXIT_INCOMPLETE, ForensicsError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Generator

    from forensics.repair.options import RepairOptions

Answer = tuple[dict[str, Any], str, int]
"""What a verb gives: the JSON object, the text, the exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status. Everything but the result goes to stderr."""
    given = list(sys.argv[1:] if argv is None else argv)
    as_json = "--format=json" in given or ("--format", "json") in pairwise(given)
    try:
        options = build_parser().parse_args(given)
        answer, text, status = _VERBS[options.verb](options)
    except ForensicsError as error:
        return _failed(error, as_json, error.exit_status)
    except KeyboardInterrupt:
        return _failed(ForensicsError("Interrupted."), as_json, EXIT_INCOMPLETE)
    except OSError as error:
        return _failed(
            ForensicsError(f"{error.filename or 'The system'}: {error.strerror}."), as_json, EXIT_INCOMPLETE
        )
    _print(
        json.dumps(answer, allow_nan=False, ensure_ascii=True, default=str) if as_json else text,
        plain=as_json,
    )
    return status


def _failed(error: ForensicsError, as_json: bool, status: int) -> int:
    if as_json:
        _print(json.dumps({"schema": 1, "error": str(error), "exit": status}), plain=True)
    else:
        Console(stderr=True, highlight=False).print(
            f"forensics: {error}", style="bold red", markup=False, soft_wrap=True
        )
    return status


_STYLES = (
    ("fatal", "bold red"),
    ("error", "red"),
    ("warning", "yellow"),
    ("note", "cyan"),
    ("Do not open", "bold white on red"),
)


def _print(text: str, *, plain: bool) -> None:
    """Plain text as it is; for a terminal, lines that begin with a severity get its colour."""
    if plain or not sys.stdout.isatty():
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()
        return
    console = Console(highlight=False)
    for line in text.rstrip("\n").split("\n"):
        style = next((style for word, style in _STYLES if line.startswith(word)), None)
        console.print(line, style=style, markup=False, soft_wrap=True)


@contextmanager
def _progress(options: Namespace) -> Generator[Callable[[str, float], None] | None]:
    """A bar on stderr where somebody is looking."""
    if options.format == "json" or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda text, share: bar.update(task, description=text[:48], completed=share)


def _view(options: Namespace) -> dict[str, Any]:
    """What narrows a look: codes and one collection."""
    return {"only": codes(options.only), "skip": codes(options.skip), "collection": _collection(options)}


def _collection(options: Namespace) -> str | None:
    if options.segment is None:
        return options.collection
    from forensics.errors import UsageError
    from forensics.store import open_store

    with open_store(options.store) as store:
        for collection in store.collections:
            if options.segment in (collection.vector_segment_id, collection.metadata_segment_id):
                return collection.id
    raise UsageError(f"No collection has a segment {options.segment}.")


def _diagnose(options: Namespace) -> Answer:
    from forensics.report.text import diagnosis_text

    with _progress(options) as progress:
        found = verbs.diagnose(
            options.store,
            deep=options.deep,
            embedder=options.embedder,
            also=options.also,
            source=options.source,
            case=options.case,
            progress=progress,
            **_view(options),
        )
    return found.to_json(), diagnosis_text(found), found.exit_status


def _options(options: Namespace) -> RepairOptions:
    from forensics.repair.options import RepairOptions

    return RepairOptions(
        embedder=options.embedder,
        also=tuple(options.also),
        source=tuple(options.source),
        accept_loss=tuple(lookup(code).code for code in codes(options.accept_loss)),
        also_fix=tuple(lookup(code).code for code in codes(options.also_fix)),
        ids=options.ids,
        set_aside_unsearchable=options.set_aside_unsearchable,
        unverified_embedder=options.unverified_embedder,
        decline=tuple(lookup(code).code for code in codes(options.skip)),
        only=tuple(lookup(code).code for code in codes(options.only)),
        max_elements=options.max_elements,
        threads=options.threads,
    )


def _new_case(options: Namespace) -> Any:
    from forensics.case import Case
    from forensics.store import open_store

    with open_store(options.store) as store:
        path = store.path
    return Case.create(Path(options.case) if options.case else None, path)


def _plan(options: Namespace) -> Answer:
    from forensics.report.text import plan_text

    chosen, case = _options(options), _new_case(options)
    with _progress(options) as progress:
        made = verbs.plan(
            options.store, case=case, options=chosen, collection=_collection(options), progress=progress
        )
    text = (
        f"{plan_text(made)}\ncase       {case.folder}\nnext       forensics apply --case {case.folder} --yes"
    )
    return (
        {**made.to_json(), "case": str(case.folder)},
        text,
        EXIT_FOUND if made.promised or made.remaining else 0,
    )


def _apply(options: Namespace) -> Answer:
    case = _need_case(options)
    with _progress(options) as progress:
        result = verbs.apply(
            case,
            yes=options.yes and not options.dry_run,
            resume=options.resume,
            to=options.to,
            nobody_else=options.nobody_else_uses_it,
            engine=options.engine,
            progress=progress,
        )
    return result, _result_text(result), _result_status(result)


def _repair(options: Namespace) -> Answer:
    from forensics.report.text import diagnosis_text, plan_text

    chosen, case = _options(options), _new_case(options)
    with _progress(options) as progress:
        found = verbs.diagnose(options.store, case=case, collection=_collection(options), progress=progress)
        made = verbs.plan(
            options.store, case=case, diagnosis=found, options=chosen, collection=_collection(options)
        )
        head = f"{diagnosis_text(found)}\n\n{plan_text(made)}"
        go = options.yes and not options.dry_run
        result = verbs.apply(
            case, yes=go, nobody_else=options.nobody_else_uses_it, engine=options.engine, progress=progress
        )
    result = {**result, "report": str(verbs.report(case))}
    return result, f"{head}\n\n{_result_text(result)}", _result_status(result)


def _result_text(result: dict[str, Any]) -> str:
    from forensics.report.text import result_text

    return result_text(result)


def _result_status(result: dict[str, Any]) -> int:
    """4 where something above a note is left, 8 where it was done and is not verified or could not be done."""
    left = [code for code in result.get("remaining", ()) if lookup(code).severity != "note"]
    if not result.get("applied"):
        pending = result.get("plan", {})
        return EXIT_FOUND if left or pending.get("promised") or pending.get("remaining") else 0
    return (EXIT_FOUND if left else 0) | (0 if result.get("verified") else EXIT_INCOMPLETE)


def _need_case(options: Namespace) -> str:
    from forensics.errors import UsageError

    if not options.case:
        raise UsageError(f"`forensics {options.verb}` works on a case: say which with --case DIR.")
    return options.case


def _verify(options: Namespace) -> Answer:
    from forensics.report.text import verdict_text

    verdict = verbs.verify(_need_case(options), engine=options.engine)
    left = any(lookup(code).severity != "note" for code in verdict.remaining)
    return (
        verdict.to_json(),
        verdict_text(verdict),
        (EXIT_FOUND if left else 0) | (0 if verdict.passed else EXIT_INCOMPLETE),
    )


def _undo(options: Namespace) -> Answer:
    result = verbs.undo(_need_case(options), discard_later_writes=options.discard_later_writes)
    return result, str(result.get("message", "The store is as it was before the repair.")), 0


def _report(options: Namespace) -> Answer:
    path = verbs.report(
        _need_case(options),
        options.output,
        include_documents=options.include_documents,
        include_ids=options.include_ids,
    )
    return {"schema": 1, "report": str(path)}, f"report     {path}", 0


def _case(options: Namespace) -> Answer:
    result = verbs.release(_need_case(options))
    return (
        result,
        str(result.get("message", "The kept original is deleted; this case can no longer be undone.")),
        0,
    )


def _probe(options: Namespace) -> Answer:
    from forensics.report.text import probe_text

    result = verbs.probe(options.store, versions=options.chromadb, collection=_collection(options))
    if options.case:
        from forensics.case import Case

        Case.open(Path(options.case)).write_json("probe.json", result)
    calls = [call["verdict"] for one in result["collections"] for call in one["calls"]]
    return result, probe_text(result), 0 if all(verdict == "right" for verdict in calls) else EXIT_FOUND


def _copy(options: Namespace) -> Answer:
    made = verbs.copy(options.store, options.dest)
    count, size = len(made.entries), sum(entry.size for entry in made.entries if entry.kind == "file")
    text = f"{count} entries, {size:,} bytes apparent, copied to {options.dest} and verified by hash."
    return {"schema": 1, "dest": str(options.dest), "entries": count, "bytes": size}, text, 0


def _export(options: Namespace) -> Answer:
    result = verbs.export(_need_case(options), options.to, options.output)
    return (
        result,
        f"{result['records']:,} records written to {result['file']}; {result['without_vector']:,} have no vector.",
        0,
    )


def _explain(options: Namespace) -> Answer:
    text = verbs.explain(options.what)
    return {"schema": 1, "query": options.what, "text": text}, text, 0


def _lab(options: Namespace) -> Answer:
    from forensics.lab.launch import launch

    verbs.needs("jupyterlab", "forensics lab")
    return (
        {"schema": 1},
        "",
        launch(options.store, case=options.case, port=options.port, browser=not options.no_browser),
    )


_VERBS: dict[str, Callable[[Namespace], Answer]] = {
    "diagnose": _diagnose,
    "plan": _plan,
    "apply": _apply,
    "repair": _repair,
    "verify": _verify,
    "undo": _undo,
    "report": _report,
    "case": _case,
    "probe": _probe,
    "copy": _copy,
    "export": _export,
    "explain": _explain,
    "lab": _lab,
}

if __name__ == "__main__":
    sys.exit(main())
