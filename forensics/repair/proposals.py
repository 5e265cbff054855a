"""What the rules of the planner make: an action, what it heals, and its place in the order of a repair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from forensics.model import Action, Approval, Json, Safety
from forensics.repair.options import RepairOptions
from forensics.repair.preconditions import requirements

ORDER = (
    "recover-database",
    "rebuild-catalogue",
    "restore-records",
    "settle-journal",
    "restore-migrations",
    "restore-tenants",
    "mend-segment-rows",
    "mend-configuration",
    "set-index-parameters",
    "convert-sequence-ids",
    "set-dimension",
    "rebuild-indexes",
    "restore-documents",
    "rebuild-full-text",
    "restore-watermark",
    "insert-watermark",
    "remove-watermark",
    "put-directory-back",
    "show-whose-vectors",
    "rebuild-segment",
    "compact-segment",
    "rebuild-header",
    "restore-lengths",
    "unmap-foreign-vectors",
    "drop-phantom-elements",
    "rewrite-link-lists",
    "cut-trailing-bytes",
    "drop-bad-neighbours",
    "rebuild-id-map",
    "mend-id-map",
    "clear-deleted-flags",
    "retire-elements",
    "replace-vectors",
    "add-missing-vectors",
    "quarantine-ghosts",
    "relink-elements",
    "quarantine-queue-rows",
    "quarantine-orphan-rows",
    "trim-ids",
    "delete-ids",
    "keep-ids",
    "set-aside-records",
    "put-queue-floor",
    "fit-to-release",
    "purge-queue",
    "remove-directories",
    "vacuum",
)
"""Kinds of actions in the order in which they compose: the database's frame, then bottom-up through the
segment, then the ids, and the watermarks last, when it is known what the index holds.
"""

STRUCTURAL = frozenset(ORDER[ORDER.index("rebuild-header") : ORDER.index("relink-elements") + 1])
"""What `rebuild-segment` makes unnecessary."""


GRAPH = frozenset(
    {
        "rebuild-segment",
        "compact-segment",
        "drop-phantom-elements",
        "drop-bad-neighbours",
        "clear-deleted-flags",
        "retire-elements",
        "replace-vectors",
        "add-missing-vectors",
        "relink-elements",
    }
)
"""After these every vector of the index has to find itself again."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action and the codes that are gone after it, in its collection."""

    action: Action
    heals: frozenset[str] = field(default_factory=frozenset)

    @property
    def foretold(self) -> Action:
        """The action with what it heals."""
        return replace(self.action, heals=tuple(sorted(self.heals)))

    @property
    def rank(self) -> tuple[int, str]:
        return ORDER.index(self.action.kind), self.action.collection or ""


def propose(
    kind: str,
    collection: str | None,
    codes: Iterable[str],
    title: str,
    options: RepairOptions,
    *,
    heals: Iterable[str] | None = None,
    safety: Safety = "safe",
    approval: Approval = "yes",
    chosen: bool = False,
    loses: int = 0,
    why: str = "",
    parameters: Mapping[str, Json] | None = None,
) -> Proposal:
    """A proposal; `heals` is all of `codes` unless given. `chosen` approves what needs a choice."""
    named = tuple(sorted(set(codes)))
    return Proposal(
        Action(
            kind=kind,
            collection=collection,
            codes=named,
            title=title,
            safety=safety,
            approval=approval,
            approved=is_approved(approval, named, options, chosen),
            loses=loses,
            why=why,
            parameters=_sorted(parameters or {}),
            requires=requirements(kind),
        ),
        frozenset(named if heals is None else heals),
    )


def is_approved(approval: Approval, codes: Iterable[str], options: RepairOptions, chosen: bool) -> bool:
    """What `--yes`, `--accept-loss`, `--also-fix` and the choices approve."""
    named = set(codes)
    return {
        "yes": True,
        "accept-loss": bool(named & set(options.accept_loss)),
        "also-fix": bool(named & set(options.also_fix)),
        "choice": chosen,
        "manual": False,
    }[approval]


def merged(proposals: Iterable[Proposal]) -> list[Proposal]:
    """One proposal per kind, collection and parameters, its codes and what it heals joined; in the order of a
    repair.
    """
    out: dict[tuple[str, str | None, str], Proposal] = {}
    for item in proposals:
        key = (item.action.kind, item.action.collection, repr(item.action.parameters))
        out[key] = _joined(out[key], item) if key in out else item
    return sorted(out.values(), key=lambda item: (*item.rank, repr(item.action.parameters)))


def _joined(first: Proposal, second: Proposal) -> Proposal:
    codes = tuple(sorted({*first.action.codes, *second.action.codes}))
    approved = first.action.approved or second.action.approved
    return Proposal(replace(first.action, codes=codes, approved=approved), first.heals | second.heals)


def _sorted(parameters: Mapping[str, Json]) -> dict[str, Json]:
    return {name: parameters[name] for name in sorted(parameters)}
