"""Jupyter on top of the core: sessions, figures, tables and panels. `ipywidgets` is imported here only, and lazily."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensics.lab import experiments, figures, graph, records, tables, timeline
    from forensics.lab.listing import conclude
    from forensics.lab.panel import RepairPanel
    from forensics.lab.report_panel import ReportPanel
    from forensics.lab.session import open_session
    from forensics.lab.sheet import Page

__all__ = [
    "Page",
    "RepairPanel",
    "ReportPanel",
    "conclude",
    "experiments",
    "figures",
    "graph",
    "open_session",
    "records",
    "tables",
    "timeline",
]
_HOMES = {
    "open_session": "session",
    "Page": "sheet",
    "conclude": "listing",
    "RepairPanel": "panel",
    "ReportPanel": "report_panel",
}


def __getattr__(name: str) -> Any:
    """The part of the lab of that name, imported now."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"forensics.lab.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"forensics.lab.{name}")
    raise AttributeError(f"module 'forensics.lab' has no attribute {name!r}")
