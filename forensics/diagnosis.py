"""Runs the checks over a store and gathers findings and outcomes as one Diagnosis. Writes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from collections.abc import Collection as Many
from dataclasses import dataclass, field

from forensics.absent import Absent, NotApplicable
from forensics.checks import load_checks
from forensics.checks.masks import MASKS, explanation, masking, obscuring
from forensics.checks.reading import read_partial
from forensics.checks.registry import CHECKS, CannotLook, Check, View, unmet, unseen
from forensics.checks.tool import changed_meanwhile, crashed, joined_crashes, skipped
from forensics.codes import catalogue, lookup
from forensics.model import SEVERITIES, Finding, Outcome
from forensics.model import Diagnosis as Result
from forensics.readers.bulk import collector_seldom
from forensics.seal import Fingerprint, fingerprint
from forensics.store import Collection, Store
from forensics.summaries import DECISIVE, store_facts, summary, tool_facts
from forensics.verdict_first import FirstVerdict

Progress = Callable[[str, float], None]
NO_DATABASE = ("CF001", "CF002", "CF003")
"""Without a database nothing else is asked."""
LEVELS = ("CF1", "CF0", "CF8", "CF3", "CF4", "CF5", "CF2", "CF7", "CF6")
"""In this order they are asked; before the vectors and the graph there is a first verdict."""
SLOW, READS_VECTORS = LEVELS.index("CF7"), ("CF505",)
NO_CATALOGUE = (*NO_DATABASE, "CF008", "CF101", "CF102", "CF104")
"""Why a store may name no collection although it has some: what is asked of each was then not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is to be looked at: the codes asked for (empty: all), those left out, and one collection or all."""

    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    collection: str | None = None
    deep: bool = False
    embedder: bool = False

    def wants(self, check: Check) -> bool:
        if self.only:
            return check.code in self.only and (check.run != "embedder" or self.embedder)
        return check.code not in self.skip and (
            check.run == "default"
            or (check.run == "deep" and self.deep)
            or (check.run == "embedder" and self.embedder)
        )


def scope(only: Iterable[str] = (), skip: Iterable[str] = (), **rest: object) -> Scope:
    """A Scope from codes as typed. Raises UsageError for a code that does not exist."""
    chosen = frozenset(lookup(code).code for code in only)
    return Scope(only=chosen, skip=frozenset(lookup(code).code for code in skip), **rest)  # pyright: ignore[reportArgumentType]


@dataclass(slots=True)
class _Run:
    """The findings and outcomes so far; outcomes per code are joined over the collections, the worst wins."""

    findings: list[Finding] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    lacking: list[tuple[Check, View, Absent]] = field(default_factory=list)
    silent: list[tuple[Check, View]] = field(default_factory=list)
    unasked: list[Check] = field(default_factory=list)

    def note(self, code: str, outcome: str, reason: str = "") -> None:
        ranks = ("not-asked", "clean", "masked", "skipped", "partial", "found", "crashed")
        before = self.outcomes.get(code)
        if before is None or ranks.index(outcome) > ranks.index(before.outcome):
            self.outcomes[code] = Outcome(code=code, outcome=outcome, reason=reason)  # pyright: ignore[reportArgumentType]


@collector_seldom()
def diagnose_store(store: Store, wanted: Scope | None = None, progress: Progress | None = None) -> Result:
    """The diagnosis of an open store. Nothing in it is opened for writing and no engine is started."""
    wanted = wanted or Scope()
    load_checks()
    before = fingerprint(store.path)
    run, first = _Run(), FirstVerdict()
    checks = sorted(CHECKS.values(), key=_rank)
    for index, check in enumerate(checks):
        if first.is_due and _rank(check)[0] >= SLOW and not wanted.only and not wanted.skip:
            first.say(run.findings, len(run.lacking), progress, index / len(checks))
        if progress is not None:
            progress(lookup(check.code).name, index / len(checks))
        _run_check(check, store, wanted, run)
    _settle(run)
    run.findings.extend(read_partial(store, _collections(store, wanted)))
    deciding = _deciding(store, wanted, run)
    unchanged = _unchanged(store, before, run)
    findings = _finished(run, certain=unchanged)
    return Result(
        tool=tool_facts(),
        store=store_facts(store, deciding.findings, unchanged, decided=_is_decided(run, deciding)),
        collections=tuple(summary(collection) for collection in _collections(store, wanted)),
        findings=findings,
        checks=tuple(
            run.outcomes.get(code, Outcome(code=code, outcome="not-asked"))
            for code in catalogue()
            if not code.startswith("CF9")
        ),
    )


def _rank(check: Check) -> tuple[int, str, bool]:
    """First what decides whether the rest can be trusted: files, ids, maps, header, watermarks; then the slow rest.

    Within a level by code, but after all that may mask it.
    """
    masking = [code for code, masked in MASKS.items() if check.code in masked and code[:3] == check.code[:3]]
    last = max([check.code, *masking])
    level = -1 if check.code in NO_DATABASE else LEVELS.index(check.code[:3])
    level = SLOW if check.code in READS_VECTORS else level
    return level + (10 if check.run != "default" else 0), last, last != check.code


def _deciding(store: Store, wanted: Scope, run: _Run) -> _Run:
    """`run`, with those checks that decide whether the store is safe to open and that were not asked for.

    Their findings are not reported. What may mask them runs as well, except for the walk through the database (CF102).
    """
    rest = _Run(findings=list(run.findings))
    needed = DECISIVE | {code for code, masked in MASKS.items() if not DECISIVE.isdisjoint(masked)} - {
        "CF102"
    }
    for check in sorted(CHECKS.values(), key=_rank):
        one_of_many = wanted.collection is not None and check.scope == "collection"
        if check.code in needed and (one_of_many or not wanted.wants(check)):
            _run_check(check, store, Scope(only=frozenset({check.code})), rest)
    _settle(rest)
    return rest


def _is_decided(run: _Run, deciding: _Run) -> bool:
    """True where every check that decides ran, or its answer follows from another finding."""
    both = ({**run.outcomes, **deciding.outcomes}.get(code) for code in DECISIVE)
    return all(found is not None and found.outcome in ("clean", "found", "masked") for found in both)


def _run_check(check: Check, store: Store, wanted: Scope, run: _Run) -> None:
    if not wanted.wants(check):
        run.note(check.code, "not-asked", "" if check.run == "default" else f"runs with --{check.run}")
        return
    if check.scope == "store":
        _run_on(check, store, run)
        return
    views = _collections(store, wanted)
    for view in views:
        _run_on(check, view, run)
    if not views:
        run.unasked.append(check)


def _collections(store: Store, wanted: Scope) -> Many[Collection]:
    return store.collections if wanted.collection is None else (store.collection(wanted.collection),)


def _run_on(check: Check, view: View, run: _Run) -> None:
    mask = masking(check.code, view, run.findings)
    if mask is not None:
        _masked(check.code, mask, run)
        return
    lack = unmet(check, view)
    if lack is not None:
        run.lacking.append((check, view, lack))
        return
    try:
        found = list(check.function(view))
    except CannotLook as reason:
        run.note(check.code, "skipped", str(reason))
        return
    except Exception as error:  # noqa: BLE001 - a check that raises is a result (CF901); the run goes on
        run.note(check.code, "crashed", f"{type(error).__name__}: {error}")
        run.findings.append(crashed(check.code, view, error))
        return
    run.findings.extend(found)
    run.note(check.code, "found" if found else "clean")
    missed = None if found else unseen(check, view)
    if missed is not None:
        run.lacking.append((check, view, missed))
    elif not found:
        run.silent.append((check, view))


def _masked(code: str, mask: Finding, run: _Run, why: str = "follows from") -> None:
    run.findings = [_following(f, code) if f is mask else f for f in run.findings]
    run.note(code, "masked", f"{why} {mask.code}")


def _settle(run: _Run) -> None:
    """What was not, or not wholly, seen is masked by the finding that says why, which may be a later one."""
    _settle_lacking(run)
    for check, view in run.silent:
        if mask := obscuring(check.code, view, run.findings):
            _masked(check.code, mask, run, "cannot be seen beside")
    for check in run.unasked:
        if why := next((f for f in run.findings if f.collection is None and f.code in NO_CATALOGUE), None):
            _masked(check.code, why, run)
        else:
            run.note(check.code, "clean", "the store names no collection")


def _settle_lacking(run: _Run) -> None:
    """What could not run is masked where a finding says why its need is absent; else skipped."""
    for check, view, lack in run.lacking:
        why = explanation(check, view, run.findings)
        if why is not None:
            _masked(check.code, why, run)
        elif isinstance(lack, NotApplicable):
            run.note(check.code, "clean", f"not applicable: {lack.reason}")
        else:
            run.note(check.code, "skipped", lack.reason)


def _following(finding: Finding, code: str) -> Finding:
    return (
        finding if code in finding.follows else dataclasses.replace(finding, follows=(*finding.follows, code))
    )


def _finished(run: _Run, *, certain: bool) -> tuple[Finding, ...]:
    findings = [*joined_crashes(run.findings), *skipped(run.outcomes.values())]
    if not certain:
        findings = [dataclasses.replace(f, confidence="possible") for f in findings]
    return tuple(sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.code, f.collection or "")))


def _unchanged(store: Store, before: Fingerprint, run: _Run) -> bool:
    after = fingerprint(store.path)
    if before == after:
        return True
    changed = before.differences(after)
    if not any(f.code == "CF005" for f in run.findings):
        run.findings.append(changed_meanwhile(store, changed))
    run.note("CF005", "found")
    return False
