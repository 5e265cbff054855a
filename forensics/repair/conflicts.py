"""Choices that exclude each other: each pair is refused in one sentence, before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from forensics.codes import lookup
from forensics.errors import UsageError

if TYPE_CHECKING:
    from forensics.repair.options import RepairOptions

OF_THE_INDEX = frozenset({"segment", "idmap", "graph"})
"""Levels whose every defect a new index takes away, asked for or not."""


def refuse_what_cannot_be(options: RepairOptions) -> None:
    """Raises UsageError with the first sentence where two choices exclude each other or a number cannot be."""
    for rule in (_numbers, _named_twice, _left_and_done, _without_a_rebuild):
        for sentence in rule(options):
            raise UsageError(sentence)


def _numbers(options: RepairOptions) -> Iterator[str]:
    for name in ("threads", "max_elements", "ef_construction"):
        value = getattr(options, name)
        if value is not None and value < 1:
            yield "threads, max_elements and ef_construction must be at least 1."
    if options.M is not None and not 2 <= options.M <= 10_000:
        yield f"M must be from 2 to 10,000, as hnswlib has it, not {options.M}."


def _named_twice(options: RepairOptions) -> Iterator[str]:
    """A code that is to be repaired and to be left."""
    for name, option in (("only", "--only"), ("accept_loss", "--accept-loss"), ("also_fix", "--also-fix")):
        both = sorted(set(getattr(options, name)) & set(options.decline))
        if both:
            yield f"{option} and --except both name {', '.join(both)}: say one of them."
    outside = sorted(set(options.also_fix) - set(options.only)) if options.only else []
    if outside:
        yield f"--only {','.join(options.only)} leaves out {', '.join(outside)}, which --also-fix names: name it in both."


CHOICES: dict[str, tuple[str, str, Callable[[RepairOptions], bool]]] = {
    "CF701": ("--ids delete", "malformed ids", lambda options: options.ids == "delete"),
    "CF501": (
        "--set-aside-unsearchable",
        "records without a vector",
        lambda options: options.set_aside_unsearchable,
    ),
    "CF201": ("--purge-queue", "rows that both segments have applied", lambda options: options.purge_queue),
}
"""code → the choice that is only about it, and what it is about."""


def _left_and_done(options: RepairOptions) -> Iterator[str]:
    """What a choice does although the user wants it left."""
    for code, (option, what, chosen) in CHOICES.items():
        if code in options.decline and chosen(options):
            yield f"{option} is about {what}, which --except {code} leaves: say one of them."
    left = [code for code in options.decline if lookup(code).level in OF_THE_INDEX]
    if options.rebuild and left:
        yield f"--rebuild makes the whole index anew, so --except {','.join(left)} cannot leave that in it."


def _without_a_rebuild(options: RepairOptions) -> Iterator[str]:
    given = [
        name
        for name, value in (("--M", options.M), ("--ef-construction", options.ef_construction))
        if value is not None
    ]
    if given and not options.rebuild:
        yield f"{' and '.join(given)} can only be given to a new index: say --rebuild too."
