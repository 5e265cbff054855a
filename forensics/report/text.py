"""The terminal form of diagnosis, plan and verdict: plain strings without colour, the same on every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from forensics.report.against import sources_text
from forensics.report.alternatives import choices_text
from forensics.report.brief import notes_text
from forensics.report.data import lines
from forensics.report.embedding import embedding_text
from forensics.report.plain import WIDTH, counted, number, quoted, visible, wrapped
from forensics.report.repair_summary import (
    applied_sentence,
    approval_sentence,
    effect_sentence,
    foreseen_sentence,
    loss_sentence,
    lost_sentence,
    outcome_of,
    plan_sentence,
    records_sentence,
    verified_sentence,
)
from forensics.report.room import room_sentence
from forensics.report.summary import (
    above_notes,
    as_json,
    code_ranges,
    headline,
    last_line,
    remedy_sentence,
    verdict_sentence,
)

Json = Any
LABEL, NARROW = 12, 84
NUMBERS = ("records", "indexed", "pending", "missing", "ghosts", "deleted")


def diagnosis_text(
    diagnosis: Json, *, case: Path | None = None, path: bool = False, brief: bool = False
) -> str:
    """The verdict in plain words, the collections, a block per finding worst first, and the summary line.

    `path` names the store by its whole path; without it the text is the same wherever the store lies.
    `case` names the folder that holds the full lists. `brief`: a note has a line instead of a block.
    """
    data = as_json(diagnosis)
    whole = above_notes(data) if brief else data["findings"]
    blocks = [
        f"{wrapped(verdict_sentence(data), '')}\n{_store_line(data, path=path)}",
        _collections_table(data["collections"]),
        *(finding_text(finding, case=case) for finding in whole),
        notes_text(data["findings"]) if brief else "",
        sources_text(data),
        wrapped(last_line(data), ""),
    ]
    return _whole(blocks)


def finding_text(finding: Json, *, case: Path | None = None) -> str:
    """One finding: code and name, the sentence, where, expected, found, meaning, causes, remedy, more."""
    data = as_json(finding)
    lines = [_title(data), wrapped(headline(data), "  ")]
    lines += [_field(label, value) for label, value in _fields(data, case) if value]
    return _whole(["\n".join(lines)])


def _whole(blocks: Sequence[str]) -> str:
    """The blocks with a blank line between them; not even a name of the tool's own steers the terminal."""
    return visible("\n\n".join(block for block in blocks if block), keep="\n")


def _title(data: Mapping[str, Json]) -> str:
    return f"{data['severity']:<7} {data['code']} {data['name']:<26} {_place(data):<28} {data['confidence']}"


def _fields(data: Mapping[str, Json], case: Path | None) -> Iterator[tuple[str, str]]:
    yield "where", "  |  ".join(place_text(place) for place in data["where"][:4])
    yield from _data("expected", data["expected"])
    yield from _data("found", data["found"])
    yield "means", visible(data["means"])
    yield from ((label, text) for label, text in _causes(data["causes"]))
    yield "follows", f"{code_ranges(data['follows'])} (not examined by themselves)" if data["follows"] else ""
    yield "remedy", remedy_sentence(data["remedy"])
    yield "more", _more(data, case)


def _data(label: str, value: Json) -> Iterator[tuple[str, str]]:
    for rank, (name, text) in enumerate(lines(value)):
        yield "" if rank else label, f"{name}: {text}" if name else text


def _causes(causes: Sequence[Mapping[str, Json]]) -> Iterator[tuple[str, str]]:
    for rank, cause in enumerate(causes):
        text = f"{visible(cause['name'])} ({cause['confidence']}): {visible(cause['evidence'])}"
        yield "" if rank else "cause", text


def _more(data: Mapping[str, Json], case: Path | None) -> str:
    files = evidence_files(case, data["code"]) if case else []
    lists = (
        f" · in the case: {', '.join(visible(f'evidence/{path.name}') for path in files[:3])}"
        if files
        else ""
    )
    return f"forensics explain {data['code']}{lists}"


def evidence_files(case: Path, code: str) -> list[Path]:
    """The full lists of a code in the case folder."""
    return sorted((case / "evidence").glob(f"{code}-*.csv"))


def place_text(place: Mapping[str, Json]) -> str:
    """`<directory>/header.bin at byte 20: rows`; the directory cut to the start of its UUID."""
    at = "" if place["offset"] is None else f" at byte {number(place['offset'])}"
    rows = "" if not place["rows"] else f": {visible(place['rows'])}"
    return f"{visible(brief_path(place['file']))}{at}{rows}"


def brief_path(path: str) -> str:
    """A path relative to the store, its UUIDs cut to eight letters."""
    return "/".join(f"{part[:8]}…" if _is_uuid(part) else part for part in path.split("/"))


def _is_uuid(part: str) -> bool:
    return len(part) == 36 and [len(piece) for piece in part.split("-")] == [8, 4, 4, 4, 12]


def _field(label: str, text: str) -> str:
    first = f"  {label:<{LABEL - 2}}"
    return wrapped(text, " " * LABEL, first)


def _store_line(data: Mapping[str, Json], *, path: bool) -> str:
    store = data["store"]
    name = str(store["path"]) if path else PurePath(str(store["path"])).name
    version = store.get("chroma") or "unknown"
    held = counted(len(data["collections"]), "collection")
    return f"{visible(name)} · Chroma {visible(str(version))} · {held}"


def _collections_table(collections: Sequence[Mapping[str, Json]]) -> str:
    """One line per collection; `?` where a number is not known."""
    if not collections:
        return ""
    rows = [("collection", *NUMBERS, "")]
    rows += [(visible(c["name"]), *(_cell(c[name]) for name in NUMBERS), _space(c)) for c in collections]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_row(row, widths) for row in rows)


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    gap = "  " if WIDTH.get() > NARROW else " "
    numbers = gap.join(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
    return f"{row[0].ljust(widths[0])}  {numbers}  {row[-1]}".rstrip()


def _cell(value: int | None) -> str:
    return "?" if value is None else number(value)


def _space(collection: Mapping[str, Json]) -> str:
    dimension = "?" if collection["dimension"] is None else number(collection["dimension"])
    return f"{collection['space'] or 'space unknown'}, {dimension} dimensions"


def plan_text(plan: Json, *, here: bool = True) -> str:
    """What would be done, in order, with what it loses, and what would be left; nothing has been changed.

    `here` tells what is free on this machine, too; without it the text is the same wherever it is planned.
    """
    data = as_json(plan)
    blocks = [
        wrapped(f"{plan_sentence(data)} Nothing has been changed."),
        *(_action_text(index, action) for index, action in enumerate(data["actions"], 1)),
        _effects_text(data["effects"], tense="planned") if data["actions"] else "",
        embedding_text(data),
        wrapped(room_sentence(data, beside_free=here)),
        _losses_text(data["losses"]),
        choices_text(data),
        _codes_text(data),
    ]
    return _whole(blocks)


def _action_text(index: int, action: Mapping[str, Json]) -> str:
    """What would be done; whose decision it waits for; for which finding and at what cost; why."""
    codes = " ".join(action["codes"])
    told = [
        "" if action["approved"] else approval_sentence(action),
        f"{codes} in {_place(action)} · {action['kind']} — {loss_sentence(action)}",
        visible(action["why"]),
        foreseen_sentence(action),
    ]
    title = f"{'[x]' if action['approved'] else '[ ]'} {index}. {visible(action['title'])}"
    return "\n".join([title, *(wrapped(text, " " * 7) for text in told if text)])


def _place(item: Mapping[str, Json]) -> str:
    name = item["collection"]
    return "the store" if name is None else f"collection {quoted(name)}"


def _effects_text(effects: Sequence[Mapping[str, Json]], *, tense: str = "done") -> str:
    lines = (f"{quoted(e['collection'])}: {effect_sentence(e, tense=tense)}" for e in effects)
    return "\n".join(wrapped(line, "  ") for line in lines)


def _losses_text(losses: Sequence[Mapping[str, Json]]) -> str:
    if not losses:
        return ""
    lines = [wrapped(f"- {lost_sentence(loss)}", "    ", "  ") for loss in losses]
    return "\n".join(["What this does not bring back:", *lines])


def _codes_text(data: Mapping[str, Json]) -> str:
    promised = f"The plan promises that these go: {' '.join(data['promised'])}." if data["promised"] else ""
    left = f"These stay: {' '.join(data['remaining'])}." if data["remaining"] else ""
    return " ".join(part for part in (promised, left) if part)


def verdict_text(verdict: Json) -> str:
    """Whether it is verified, test by test, and what is left; what failed stands at the end once more."""
    data = as_json(verdict)
    stay = " ".join(data["remaining"])
    left = f"Findings that stay: {stay}." if stay else "No finding above a note is left."
    failed = [_test_text(test) for test in data["tests"] if not test["passed"]]
    blocks = [
        verified_sentence(data),
        "\n".join(_test_text(test) for test in data["tests"]),
        _effects_text(data["effects"]),
        left,
        "\n".join(["What failed:", *failed]) if failed else "",
    ]
    return _whole(blocks)


def _test_text(test: Mapping[str, Json]) -> str:
    over = "" if test["count"] is None else f" ({number(test['count'])})"
    mark = {"passed": "  ok    ", "failed": "  FAIL  "}.get(outcome_of(test)[1], "  skip  ")
    return wrapped(f"{visible(test['name'])}{over}: {visible(test['detail'])}", " " * 8, mark)


def result_text(result: Mapping[str, Json]) -> str:
    """What `apply` came to: done and verified or not, the records before and after, what stays, where."""
    if not result["applied"] or result.get("to"):
        return _unapplied_text(result)
    lines = [applied_sentence(result), f"  {records_sentence(result['records'])}"]
    stay = " ".join(result["remaining"])
    lines.append(f"  Findings that stay: {stay}." if stay else "  No finding above a note is left.")
    lines += [_field(name, visible(str(result[name]))) for name in ("case", "report") if result.get(name)]
    return _whole(["\n".join(lines)])


def _unapplied_text(result: Mapping[str, Json]) -> str:
    if result.get("to"):
        return f"The store was not touched. A repaired copy stands at {visible(str(result['to']))}."
    if result.get("nothing_to_do"):
        return "Nothing to do: the store was not touched."
    case = visible(str(result["case"]))
    plan = result.get("plan") or {"actions": ()}
    if plan["actions"] and not any(action["approved"] for action in plan["actions"]):
        return "Nothing was changed, and nothing is done without a decision: see what each action waits for."
    return f"Nothing was changed. To carry out the plan: forensics apply --case {case} --yes"


def probe_text(result: Mapping[str, Json]) -> str:
    """What each call did on a throw-away copy: advice first, then a line per call and why it fails."""
    blocks = [wrapped(visible(result["advice"]), "")]
    blocks += [_probed_text(collection) for collection in result["collections"]]
    return _whole(blocks)


def _probed_text(collection: Mapping[str, Json]) -> str:
    title = (
        f"collection {quoted(collection['name'])}, asked with chromadb {visible(str(collection['chromadb']))}"
    )
    return "\n".join([title, *(line for call in collection["calls"] for line in _call_text(call))])


def _call_text(call: Mapping[str, Json]) -> Iterator[str]:
    head = f"  {call['verdict']:<11} {call['code']:<34}"
    yield wrapped(visible(call["detail"]), " " * 48, head + " ").rstrip()
    if call["because"]:
        first, more = call["because"][0], len(call["because"]) - 1
        rest = f" (and {number(more)} more)" if more else ""
        at = f"the first record without a vector, at position {number(first['position'])}"
        text = f"{at}: {quoted(first['id'])}, {first['why']}{rest}"
        yield wrapped(text, " " * 16, " " * 14)
    if call.get("foretold", {}).get("agrees", "undefined") != "undefined":
        told = call["foretold"]
        yield wrapped(visible("; ".join(filter(None, (told["agrees"], told["differs"])))), " " * 16, " " * 14)
