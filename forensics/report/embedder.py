"""What the trial of an embedder came to, in words. JSON in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forensics.report.plain import number, quoted, raised, visible, wrapped
from forensics.report.repair_summary import embedder_sentence

Json = Any
VERDICTS = {
    "reproduces": "it makes these vectors",
    "does not reproduce": "it is NOT the embedder of these vectors",
    "no survivor": "nobody can tell: UNVERIFIED",
    "not tried": "it could not be tried",
}


def check_text(told: Mapping[str, Json]) -> str:
    """A block for each collection, and what a repair would do with it."""
    options = {"embedder": told["embedder"], "embedder_file": told["file"], "embedder_sha256": told["sha256"]}
    blocks = [_block(row) for row in told["collections"]] or ["The store has no collection to try it on."]
    return "\n\n".join([wrapped(embedder_sentence(options)), *blocks, wrapped(_follow(told))]).rstrip()


def _block(row: Mapping[str, Json]) -> str:
    size = f"{number(row['records'])} records, {number(row['dimension'])} dimensions"
    head = f"{quoted(row['collection'])} ({size}): {VERDICTS[row['verdict']]}"
    return f"{head}\n{wrapped(raised(visible(row['reason'])).rstrip('.') + '.', '  ')}"


def _follow(told: Mapping[str, Json]) -> str:
    verdicts = {row["verdict"] for row in told["collections"]}
    if "does not reproduce" in verdicts:
        return "A repair refuses to store its vectors where it does not reproduce those that survive."
    if "no survivor" in verdicts:
        return "A repair stores its vectors there only with --unverified-embedder."
    return ""
