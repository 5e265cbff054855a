"""The healthy stores that the table of outcomes damages: each release's sample, with a second collection beside it.

base = Base.of("0.6.3", folder)     # built by that release at the first time, kept below `folder`
base.truth["terms"]                 # what its user believes: documents, metadata, vectors
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forensics import samples
from forensics.testing.builder import StoreBuilder
from forensics.testing.embedder import embed
from forensics.testing.living_on import Truth, past_a_flush
from forensics.testing.natural_corpus import interpreter
from forensics.testing.texts import Record, fresh

VERSIONS = ("0.4.24", "0.5.23", "0.6.3", "1.0.20", "1.2.1", "1.5.9")
STRUCK, BYSTANDER = "terms", "bystander"
BESIDE, LATER = 45, 12
"""Records of the bystander, of which 40 or more are flushed; and of the newest records of the other one, all pending."""


@dataclass(frozen=True, slots=True)
class Base:
    """A healthy store of one release with two collections, and what its user believes."""

    version: str
    store: Path
    truth: dict[str, Truth]

    @classmethod
    def of(cls, version: str, folder: Path) -> Base:
        """Raises LookupError where that release is not installed."""
        home = folder / version
        if not (home / "told.json").exists():
            shutil.rmtree(home, ignore_errors=True)
            _build(version, home)
        told = json.loads((home / "told.json").read_text(encoding="utf-8"))
        return cls(version, home / "store", {name: _truth(each) for name, each in told.items()})


def _build(version: str, home: Path) -> None:
    """The sample goes on with its own release: a bystander, then a few more records of its own, which stay pending."""
    samples.restore(f"{version}/healthy", home / "store")
    (made,) = samples.manifest(f"{version}/healthy")["collections"]
    told = samples.truth(f"{version}/healthy")[STRUCK]
    rows = zip(told.ids, told.documents, told.metadatas, strict=True)
    with StoreBuilder(home / "store", interpreter(version)) as builder:
        builder.model.create(STRUCK, made["settings"])
        builder.model.write(STRUCK, "add", [Record(*row) for row in rows])
        builder.create(BYSTANDER, space="l2", sync_threshold=20, batch_size=10)
        builder.add(BYSTANDER, fresh(BESIDE, start=60_000), step=5)
        builder.add(STRUCK, fresh(LATER, start=61_000))
    (home / "told.json").write_text(json.dumps(builder.truth()), encoding="utf-8")


def _truth(told: dict[str, Any]) -> Truth:
    settings, records = told["settings"], told["records"]
    ids = [each["id"] for each in records]
    vectors: np.ndarray = embed([each["document"] for each in records])
    return Truth(
        settings.get("space", "l2"),
        past_a_flush(settings),
        {each["id"]: each["document"] for each in records},
        {each["id"]: each["metadata"] for each in records},
        dict(zip(ids, vectors, strict=True)),
    )
