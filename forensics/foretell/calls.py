"""The eight calls that are foretold, in the order in which they are told."""

from __future__ import annotations

CALLS = (
    "open",
    "count",
    "get",
    "get with embeddings",
    "peek",
    "query",
    "filtered query",
    "add and reopen",
)
RELEASES = ("0.6.3", "1.0.20", "1.2.1", "1.5.9")
"""One of each behaviour: the last in Python, and three of the engine in Rust."""
