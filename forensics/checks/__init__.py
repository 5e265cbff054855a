"""Views → findings. One file per level of findings.csv, one short function per code; importing a file registers it."""

from __future__ import annotations

import importlib

LEVELS = ("store", "database", "queue", "segment", "idmap", "ids", "graph", "records", "config", "embedder")


def load_checks() -> None:
    """Registers the checks of every level."""
    for level in LEVELS:
        importlib.import_module(f"forensics.checks.{level}")
