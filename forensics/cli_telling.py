"""The verbs that tell of a store: the answers of timeline and classify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics import verbs
from forensics.cli_answer import Answer, labelled, pair
from forensics.errors import EXIT_INCOMPLETE, UsageError
from forensics.report.plain import number, visible
from forensics.selection import select
from forensics.store import Store, open_store

if TYPE_CHECKING:
    from argparse import Namespace

MOST = 12
"""Groups of a table that a terminal shows; JSON has more, a Parquet file all."""


def timeline(options: Namespace) -> Answer:
    """0; the events, the releases that have touched the store, and those that can open it."""
    kept = _kept(options)
    found = verbs.timeline(options.store, case=kept)
    return Answer({**found.to_json(), **_in(kept)}, f"{found!r}{_where(kept)}")


def classify(options: Namespace) -> Answer:
    """8 where the records of a collection cannot be read; else 0."""
    kept = _kept(options)
    with open_store(options.store) as store:
        chosen = _chosen(options, store)
        told = [_classified(options, store, each, kept) for each in chosen]
    errors = [each["error"] for each in told if "error" in each]
    data = {"schema": 1, "collections": told, **_in(kept)}
    text = "\n\n".join(_text(each) for each in told) + _where(kept)
    return Answer(data, text, EXIT_INCOMPLETE if errors else 0, " ".join(errors) or None)


def _chosen(options: Namespace, store: Store) -> list[str]:
    """The ids of the collections that are meant. Raises UsageError for one file of several collections."""
    wanted = select(store, **pair(options), metadata_segment=options.metadata_segment)
    chosen = [each.id for each in store.collections] if wanted is None else [wanted]
    if options.output and len(chosen) != 1:
        raise UsageError("A file holds the ids of one collection: say which with --collection.")
    return chosen


def _classified(options: Namespace, store: Store, collection: str, kept: str | None) -> dict[str, Any]:
    from forensics.errors import CannotComplete

    try:
        found = verbs.classify(
            store,
            collection=collection,
            id_pattern=options.id_pattern,
            by=options.by,
            also=options.also,
            out=None if options.dry_run else options.output,
            case=kept,
        )
        return found.to_json()
    except (CannotComplete, ValueError) as error:
        return {"collection": store.collection(collection).name, "error": str(error)}


def _text(told: dict[str, Any]) -> str:
    """The states, and a table for each division."""
    name = visible(told["collection"])
    if "error" in told:
        return f"{name}: {told['error']}"
    lines = [f"{name}: {number(told['ids'])} ids"]
    lines += [f"  {number(count):>12}  {state}" for state, count in told["states"].items()]
    lines += [
        f"  {number(count):>12}  of these from: {kind}" for kind, count in told["re_attachable_from"].items()
    ]
    return "\n".join([*lines, *(line for by in told["by"].items() for line in _table(told["states"], *by))])


def _table(states: dict[str, int], by: str, table: dict[str, Any]) -> list[str]:
    rows, columns = table["largest"][:MOST], ["all", *states]
    width = max([len(by), 8, *(len(_group(row)) for row in rows)])
    head = f"\n  {visible(by):<{width}}  " + "  ".join(f"{name:>{max(9, len(name))}}" for name in columns)
    lines = [
        f"  {_group(row):<{width}}  "
        + "  ".join(f"{number(row[name]):>{max(9, len(name))}}" for name in columns)
        for row in rows
    ]
    left = table["groups"] - len(rows)
    return [head, *lines, *([f"  … and {number(left)} more"] if left > 0 else [])]


def _group(row: dict[str, Any], most: int = 40) -> str:
    text = visible(row["group"]) or "(none)"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _kept(options: Namespace) -> str | None:
    return None if options.dry_run or not options.case else options.case


def _in(kept: str | None) -> dict[str, str]:
    return {"case": str(kept)} if kept else {}


def _where(kept: str | None) -> str:
    return f"\n\n{labelled('case', kept)}" if kept else ""
