"""Lessons and actions: what the findings of this case advise. Advice is data; it is chosen by codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from forensics.report.casefiles import CaseFiles
from forensics.report.plain import counted, number, quoted
from forensics.report.summary import above_notes, coverage, is_complete

Json = Any
Kind = Literal["prevent", "detect", "mitigate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One action item; owner and date are for the team to fill in. No `codes`: it holds for every case."""

    kind: Kind
    text: str
    codes: tuple[str, ...] = ()


ADVICE = (
    Advice(
        kind="prevent",
        text="Let one process write a store at a time; give the others a Chroma server in front of it. Two "
        "writers overwrite each other's index without an error.",
        codes=("CF501", "CF503", "CF204", "CF212", "CF407", "CF005"),
    ),
    Advice(
        kind="prevent",
        text="Never delete or rename a segment directory to have it rebuilt: a store made by Chroma "
        "0.5.6 or later purges its queue after each flush, so a rebuild gets back only the tail.",
        codes=("CF301", "CF501", "CF205", "CF302", "CF007", "CF006"),
    ),
    Advice(
        kind="prevent",
        text="Do not open a store whose index_metadata.pickle is lost or cut, and do not delete that file: "
        "the engine takes the index for new and overwrites it.",
        codes=("CF401", "CF402", "CF403", "CF404", "CF405"),
    ),
    Advice(
        kind="prevent",
        text="Stop writers with time to finish (SIGTERM, then wait): a flush that is killed leaves level 0, "
        "id map and watermark out of step.",
        codes=("CF412", "CF304", "CF403", "CF402", "CF408", "CF409", "CF306", "CF601", "CF603"),
    ),
    Advice(
        kind="detect",
        text="Watch the apparent size of link_lists.bin (under 100 bytes a record is normal): no chromadb up "
        "to 1.5.9 checks its size fields, and one torn field makes it grow with every flush.",
        codes=("CF307",),
    ),
    Advice(
        kind="prevent",
        text="Run every process of the store as the same user: a file that its writer cannot write makes the "
        "next flush lose vectors without an error.",
        codes=("CF010",),
    ),
    Advice(
        kind="prevent",
        text="Migrate a store only with a released chromadb, after a copy; never edit max_seq_id by hand.",
        codes=("CF203", "CF202", "CF804", "CF802", "CF803"),
    ),
    Advice(
        kind="prevent",
        text="Trim and check ids where they enter the application; Chroma takes any text as an id.",
        codes=("CF701", "CF702", "CF703"),
    ),
    Advice(
        kind="detect",
        text="Run `forensics diagnose STORE` after each deployment and every night; exit status 4 means that "
        "something above a note was found. count() does not notice: it reads SQLite alone.",
    ),
    Advice(
        kind="detect",
        text="Let a monitor call get with embeddings on a sample of ids, not count(): only that asks the "
        "index.",
        codes=("CF501", "CF301", "CF401", "CF402", "CF403"),
    ),
    Advice(
        kind="mitigate",
        text="Keep a verified copy: stop the writer, then `forensics copy STORE DEST` (sparse-aware, journal "
        "included, checked by hash).",
    ),
    Advice(
        kind="mitigate",
        text="Keep the documents, or the vectors, of every record outside of Chroma as well: a vector exists "
        "only in the queue and in data_level0.bin.",
        codes=("CF501", "CF301", "CF304", "CF212", "CF408"),
    ),
)


def actions(codes: Iterable[str]) -> tuple[Advice, ...]:
    """The advice for these codes, in the order prevent, detect, mitigate."""
    present = set(codes)
    return tuple(advice for advice in ADVICE if not advice.codes or present.intersection(advice.codes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What the case itself shows; the team adds its own."""

    well: tuple[str, ...]
    badly: tuple[str, ...]
    lucky: tuple[str, ...]


def lessons(files: CaseFiles) -> Lessons:
    """Went well, went badly, was luck: only what the stages prove."""
    diagnosis = files.get("diagnosis")
    if diagnosis is None:
        return Lessons(well=(), badly=(), lucky=())
    return Lessons(
        well=tuple(_well(files, diagnosis)),
        badly=tuple(_badly(diagnosis)),
        lucky=tuple(_lucky(files, diagnosis)),
    )


def _well(files: CaseFiles, diagnosis: Mapping[str, Json]) -> Iterator[str]:
    if files.get("manifest") is not None:
        yield "The store was sealed, file by file, before anything was planned."
    if is_complete(diagnosis):
        yield f"All {number(coverage(diagnosis)[0])} checks that were asked for could run on whole data."
    verdict = files.get("verdict")
    if verdict is not None and verdict["passed"]:
        yield f"The repair did what its plan had predicted ({counted(len(verdict['tests']), 'test')})."


def _badly(diagnosis: Mapping[str, Json]) -> Iterator[str]:
    silent = [c for c in diagnosis["collections"] if c["missing"]]
    for collection in silent[:3]:
        yield (
            f"Chroma gave no error when {counted(collection['missing'], 'record')} of "
            f"{quoted(collection['name'])} dropped out of search: count() goes on "
            f"answering {number(collection['records'])}."
        )
    if above_notes(diagnosis) and not silent:
        yield "Chroma has no integrity check: the damage was found when somebody looked, not when it came."
    if not is_complete(diagnosis):
        yield "Not every check could run; see Method and coverage."


def _lucky(files: CaseFiles, diagnosis: Mapping[str, Json]) -> Iterator[str]:
    effects = (files.get("verdict") or files.get("plan") or {}).get("effects", ())
    for effect in effects:
        if effect["reattached"]:
            yield (
                f"{counted(effect['reattached'], 'vector')} of {quoted(effect['collection'])} still lay on "
                "disk somewhere and needed only to be attached again."
            )
    if any(finding["code"] == "CF401" for finding in diagnosis["findings"]):
        yield "Nobody had opened the store again before it was diagnosed: that would have destroyed data."
    if any(finding["code"] == "CF007" for finding in diagnosis["findings"]):
        yield "An earlier index had been set aside instead of deleted."
