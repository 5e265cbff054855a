"""A file-system check for vector stores: read a Chroma store without trust, find what is wrong, repair a draft of it.

    import forensics as fx

    diagnosis = fx.diagnose("path/to/store")        # writes nothing
    plan = fx.plan("path/to/store", case="my-case")  # still writes nothing in the store
    result = fx.apply("my-case", yes=True)           # a draft, checked, then one swap; `fx.undo` brings it back

Every verb imports what it needs when it is called; `import forensics` alone costs almost nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from forensics.reconciling import rebuild, reconcile
    from forensics.store import open_store, read_segment
    from forensics.verbs import (
        apply,
        classify,
        copy,
        diagnose,
        diff_ids,
        embedder,
        explain,
        export,
        foretell,
        history,
        openings,
        past,
        plan,
        probe,
        release,
        report,
        rescue,
        restore_quarantined,
        timeline,
        undo,
        verify,
    )

_HOMES = {
    "open_store": "store",
    "read_segment": "store",
    "reconcile": "reconciling",
    "rebuild": "reconciling",
    **dict.fromkeys(
        (
            "apply",
            "classify",
            "copy",
            "diagnose",
            "diff_ids",
            "embedder",
            "explain",
            "export",
            "foretell",
            "history",
            "openings",
            "past",
            "plan",
            "probe",
            "release",
            "report",
            "rescue",
            "restore_quarantined",
            "timeline",
            "undo",
            "verify",
        ),
        "verbs",
    ),
}

__all__ = [
    "apply",
    "classify",
    "copy",
    "diagnose",
    "diff_ids",
    "embedder",
    "explain",
    "export",
    "foretell",
    "history",
    "open_store",
    "openings",
    "past",
    "plan",
    "probe",
    "read_segment",
    "rebuild",
    "reconcile",
    "release",
    "report",
    "rescue",
    "restore_quarantined",
    "timeline",
    "undo",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The verb of that name, imported now."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'forensics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"forensics.{home}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
