"""Plan, verdict and result of a repair in sentences. Pure: JSON in, words out; every view says the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forensics.report.data import show
from forensics.report.plain import counted, joined, number, quoted, raised, visible

Json = Any


_WITHOUT = "nothing is lost by it; {records} {stay} without a vector"
_COSTS = {
    "add-missing-vectors": _WITHOUT,
    "rebuild-segment": _WITHOUT,
    "rebuild-id-map": "lossy: {records} {stay} without a vector, for which one is theirs is not proved",
    "set-aside-records": "{records} {leave} the store for the case, which keeps id, document and metadata of each",
    "delete-ids": "lossy: {records} {leave} the store and {are} kept in the case",
    "quarantine-queue-rows": "lossy: the rows are kept in the case; {records} {stay} without a vector",
}
"""What an action with a loss comes to for its records, by kind."""
_KEPT = "safe: all of it is kept in the case; no record comes back by it"


def loss_sentence(action: Mapping[str, Json]) -> str:
    """`safe: nothing is lost`, and what an action costs that loses something or cannot heal all of it."""
    loses = action["loses"]
    if loses:
        one = loses == 1
        verbs = (
            {"stay": "stays", "leave": "leaves", "are": "is"}
            if one
            else {"stay": "stay", "leave": "leave", "are": "are"}
        )
        text = _COSTS.get(action["kind"], f"{action['safety']}: at the cost of {{records}}")
        return text.format(records=counted(loses, "record"), **verbs)
    if action["kind"] == "quarantine-ghosts":
        return _KEPT
    if action["safety"] == "lossy":
        return "lossy: no record is lost, but something is dropped or made anew"
    return f"{action['safety']}: nothing is lost"


def foreseen_sentence(action: Mapping[str, Json]) -> str:
    """What is looked at again right before an action, and what is gone after it."""
    before, after = joined(action.get("requires", ())), " ".join(action.get("heals", ()))
    parts = (f"before: {before}" if before else "", f"after: no {after}" if after else "")
    return "; ".join(part for part in parts if part)


def lost_sentence(loss: Mapping[str, Json]) -> str:
    """What is not brought back of one collection for one reason, with examples."""
    if loss.get("unit") == "rows":
        amount = "rows, nobody can tell how many" if loss["count"] is None else counted(loss["count"], "row")
        return f"{amount}: {visible(loss['reason'])}"
    each = "" if loss["count"] == 1 else ", for each"
    amount = f"{counted(loss['count'], 'record')} of {quoted(loss['collection'])}{each}"
    shown = f" ({show(loss['examples'])})" if loss.get("examples") else ""
    return f"{amount}: {visible(loss['reason'])}{shown}"


_CHOICES = {
    "set-aside-records": "--set-aside-unsearchable",
    "delete-ids": "--ids delete",
    "rebuild-segment": "--rebuild",
    "purge-queue": "--purge-queue",
}


_TENSES = {"planned": "will be done", "done": "done", "tried": "tried on the draft alone"}


def approval_sentence(action: Mapping[str, Json], *, tense: str = "planned") -> str:
    """Whether the plan does it, or did it, or what it would take."""
    if action["approved"]:
        return _TENSES[tense]
    codes = " ".join(action["codes"])
    match action["approval"]:
        case "accept-loss":
            return f"not done unless you say --accept-loss {codes}"
        case "also-fix":
            return f"not done unless you say --also-fix {codes}"
        case "choice":
            return f"not done unless you say {_CHOICES.get(action['kind'], 'so')}"
        case "manual":
            return "explained, never done by the tool"
        case _:
            return "not done"


def embedder_sentence(options: Mapping[str, Json]) -> str:
    """Which embedder the plan names, and from which file it is loaded; empty without one."""
    name, file = options.get("embedder"), options.get("embedder_file")
    if not name:
        return ""
    if name == "configured":
        return "Documents are embedded by chromadb's own class of what each collection's configuration names."
    digest = str(options.get("embedder_sha256") or "")[:12]
    place = f", from {visible(_home_of(str(file)))} (SHA-256 {digest}…) and from nowhere else" if file else ""
    return f"Documents are embedded by {visible(str(name))}{place}."


_PACKAGE = Path(__file__).resolve().parents[1]


def _home_of(file: str) -> str:
    """The path; of a file that comes with this tool the part that is the same on every machine."""
    if Path(file).is_relative_to(_PACKAGE):
        return f"this tool's own {Path(file).relative_to(_PACKAGE.parent).as_posix()}"
    return file


_SHARES = {
    "reattached": "re-attached",
    "reembedded": "re-embedded",
    "set_aside": "set aside",
    "lost": "not brought back",
}


_FINDS = {"planned": "will find", "tried": "would find", "done": "finds"}


def effect_sentence(effect: Mapping[str, Json], *, tense: str = "done") -> str:
    """`search finds 300 records (30 before): 270 re-embedded`; of a plan, what it will find."""
    shares = [f"{number(effect[name])} {words}" for name, words in _SHARES.items() if effect.get(name)]
    tail = f": {joined(shares)}" if shares else ""
    if effect["after"] is None:
        return f"how many records search {_FINDS[tense]} is not known{tail}"
    before = f"({number(effect['before'])} before)" if effect["before"] is not None else "(unknown before)"
    return f"search {_FINDS[tense]} {counted(effect['after'], 'record')} {before}{tail}"


def _losing(lost: int, aside: int) -> str:
    parts = [
        f"{counted(count, 'record')} {'is' if count == 1 else 'are'} {what}"
        for count, what in ((lost, "not brought back"), (aside, "set aside in the case"))
        if count
    ]
    return joined(parts) or "no record is lost"


def plan_sentence(plan: Mapping[str, Json], *, tense: str = "planned") -> str:
    """What the plan comes to, or came to, in one line."""
    approved = [action for action in plan["actions"] if action["approved"]]
    lost = sum(effect["lost"] for effect in plan["effects"])
    if not plan["actions"]:
        return "Nothing to do."
    if not approved and all(action["approval"] == "also-fix" for action in plan["actions"]):
        return f"Nothing needs a repair; {counted(len(plan['actions']), 'action')} of housekeeping can be asked for."
    waiting = sum(action["approval"] != "manual" for action in plan["actions"])
    if not approved and not waiting:
        return "Nothing is done: what was found is explained here, and stays."
    if not approved:
        waits = "1 action waits" if waiting == 1 else f"{number(waiting)} actions wait"
        return f"Nothing is done without a decision: {waits} for it."
    amount = f"{counted(len(approved), 'action')} of {number(len(plan['actions']))}"
    was = "was" if len(approved) == 1 else "were"
    if tense == "tried":
        return f"{amount} {was} tried on a draft, which was thrown away; none was done in the store."
    losing = _losing(lost, sum(effect.get("set_aside") or 0 for effect in plan["effects"]))
    return f"{amount} {was if tense == 'done' else 'will be'} done; {losing}."


def outcome_of(test: Mapping[str, Json]) -> tuple[str, str]:
    """(tone, word) of a test: ok passed, error failed, or note skipped where nothing could be asked."""
    if test["passed"] and test["detail"].startswith("skipped:"):
        return "note", "skipped"
    return ("ok", "passed") if test["passed"] else ("error", "failed")


_BY = {
    "checks+engine": "by the checks and by the engine",
    "checks": "by the checks alone; the engine was not asked",
}


def verified_sentence(verdict: Mapping[str, Json]) -> str:
    """Whether the repair did what the plan said."""
    words = [outcome_of(test)[1] for test in verdict["tests"]]
    failed, ran = words.count("failed"), len(words) - words.count("skipped")
    if failed:
        return f"Not verified: {number(failed)} of {counted(ran, 'test')} failed."
    if verdict["verified"] not in _BY:
        return f"Not verified, although none of {counted(ran, 'test')} failed."
    passed = "the one test" if ran == 1 else f"all {number(ran)} tests"
    return f"Verified {_BY[verdict['verified']]}: {passed} passed.{_other_release(verdict)}"


def _other_release(verdict: Mapping[str, Json]) -> str:
    """With which release the engine was asked, where it is not of those that wrote the store."""
    told = (test["detail"] for test in verdict["tests"] if test["name"] == "engine: another release")
    return "".join(f" The engine was {detail}." for detail in told)


def applied_sentence(result: Mapping[str, Json]) -> str:
    """What `apply` came to."""
    if not result["applied"]:
        return "Nothing was changed."
    if result["verified"] not in _BY:
        return "Repaired, but not verified: see which tests failed."
    return f"Repaired and verified {_BY[result['verified']]}."


def records_sentence(records: Mapping[str, Json]) -> str:
    """`search finds 300 records (30 before)…` of the whole store."""
    return raised(effect_sentence({"set_aside": 0, **records})) + "."
