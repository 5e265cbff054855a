"""What the tool has to say of its own run: a check that crashed, checks that could not look, a store that changed."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterable, Iterator

from forensics.checks.registry import View, finding
from forensics.codes import lookup
from forensics.model import Finding, Outcome, Place, Remedy
from forensics.store import Store


def crashed(code: str, view: View, error: Exception) -> Finding:
    """CF901: that check raised; its traceback is a list of the finding."""
    return finding(
        "CF901",
        view,
        count=1,
        unit="check",
        expected=f"{code} runs to its end",
        found=f"{type(error).__name__}: {error}",
        where=(Place(file="forensics", rows=f"check of {code}"),),
        means=f"What {code} looks for was not examined.",
        remedy=Remedy(action="report-the-traceback", safety="manual"),
        lists={"traceback": "".join(traceback.format_exception(error)).splitlines()},
    )


def joined_crashes(findings: list[Finding]) -> Iterator[Finding]:
    """At most one CF901 per collection."""
    seen: dict[str | None, Finding] = {}
    for item in findings:
        if item.code != "CF901":
            yield item
        elif item.collection in seen:
            first = seen[item.collection]
            seen[item.collection] = dataclasses.replace(
                first,
                count=first.count + 1,
                found=f"{first.found}; {item.found}",
                lists={"traceback": [*first.lists["traceback"], *item.lists["traceback"]]},
            )
        else:
            seen[item.collection] = item
    yield from seen.values()


def skipped(outcomes: Iterable[Outcome]) -> Iterator[Finding]:
    """CF902 for checks that could not run."""
    hit = [item for item in outcomes if item.outcome == "skipped"]
    if hit:
        yield Finding(
            code="CF902",
            name=lookup("CF902").name,
            severity=lookup("CF902").severity,  # pyright: ignore[reportArgumentType]
            confidence="certain",
            collection=None,
            count=len(hit),
            unit="checks",
            expected="every check runs on whole data",
            found={item.code: item.reason for item in hit},
            where=(),
            means="The areas of these checks were not, or not wholly, examined.",
            remedy=Remedy(action="see-reasons", safety="manual"),
        )


def changed_meanwhile(store: Store, changed: Iterable[str]) -> Finding:
    """CF005 where these files were written while the store was read."""
    changed = list(changed)
    return finding(
        "CF005",
        store,
        count=len(changed),
        unit="files",
        expected="the store does not change while it is read",
        found={"changed": changed},
        where=tuple(Place(file=name) for name in changed[:5]),
        means="Somebody wrote to the store while it was read; every finding is only possible.",
        remedy=Remedy(action="stop-the-writer-and-diagnose-again", safety="manual"),
    )
