"""Healthy stores by recipe, each written by real chromadb releases: what a checker must be silent about.

for recipe in recipes():
    recipe.make(path, python_of)      # python_of(release) is that release's interpreter
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forensics.compatibility import RELEASES
from forensics.testing.builder import StoreBuilder
from forensics.testing.texts import Record, Scalar, fresh, records

PythonOf = Callable[[str], Path]
Steps = Callable[[StoreBuilder], None]
SPACES = ("cosine", "l2", "ip")
NEWEST = RELEASES[-1]
ACROSS = ("0.4.24", "0.5.5", "0.6.3", "1.0.20", NEWEST)
"""One of each way to keep settings, id maps, watermarks and the queue."""
UPGRADES = (
    ("0.4.24", "1.5.9"),
    ("0.5.5", "1.2.1"),
    ("0.5.23", "1.0.0"),
    ("0.4.24", "0.5.5", "0.6.3"),
    ("0.4.24", "0.6.3", "1.5.9"),
    ("0.5.0", "0.5.13", "1.5.9"),
    ("0.6.3", "1.0.20", "1.5.9"),
    ("1.0.0", "1.3.7", "1.5.9"),
)
LEFT_BY_DELETION = {"0.4.24": (), "0.5.5": (), "0.6.3": ("CF006", "CF108")}
"""After `delete_collection`: the directory of its index, and in 0.6 its rows; 1.x leaves the directory alone."""
MANY = 200_000
SYNC = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """One store: the releases that write it one after the other, and what each of them does.

    `leaves`: what Chroma itself leaves lying there, by its code; anything else above a note would be a false alarm.
    """

    name: str
    releases: tuple[str, ...]
    steps: Steps
    big: bool = False
    leaves: tuple[str, ...] = ()

    def make(self, store: Path, python_of: PythonOf) -> StoreBuilder:
        """Builds it at `store`, which must not exist; the answer still knows what its user believes."""
        first, *later = (python_of(release) for release in self.releases)
        with StoreBuilder(store, first) as builder:
            self.steps(builder)
            for turn, python in enumerate(later, start=1):
                builder.restart(python)
                _carry_on(builder, turn)
        return builder


def recipes() -> tuple[Recipe, ...]:
    """All of them, in a fixed order; names are unique."""
    return tuple(_recipes())


def _recipes() -> Iterator[Recipe]:
    for place, release in enumerate(RELEASES):
        yield Recipe(f"{release}-life", (release,), _life(SPACES[place % 3]))
    for name, steps in _SHAPES.items():
        for release in ACROSS if name in _EVERYWHERE else (NEWEST,):
            leaves = LEFT_BY_DELETION.get(release, ("CF006",)) if name == "a-collection-deleted" else ()
            yield Recipe(f"{release}-{name}", (release,), steps, leaves=leaves)
    for releases in UPGRADES:
        yield Recipe("-to-".join(releases), releases, _life("cosine"))
    yield Recipe("many", (NEWEST,), _many, big=True)


def _life(space: str) -> Steps:
    """Adds, updates, deletes, upserts, re-adds, metadata alone, a reopening, and a pending tail."""

    def steps(store: StoreBuilder) -> None:
        texts = records()
        store.create("terms", space=space, sync_threshold=SYNC, batch_size=10)
        store.add("terms", texts[:90], step=15)
        store.add("terms", _revised(texts[:12]), how="update", step=6)
        store.delete("terms", [record.id for record in texts[20:32]])
        store.add("terms", texts[80:105], how="upsert", step=5)
        store.restart()
        store.add("terms", texts[20:27], step=7)
        store.update_metadata("terms", {record.id: {"seen": True} for record in texts[40:48]})
        store.add("terms", texts[110:173], step=9)

    return steps


def _carry_on(store: StoreBuilder, turn: int) -> None:
    """What the next release does to the store that it finds."""
    texts = fresh(40, start=100 * turn)
    store.engine.call("query", collection="terms", documents=[texts[0].document], k=3)
    store.add("terms", texts, step=8)
    store.add("terms", _revised(texts[:9]), how="upsert", step=3)
    store.delete("terms", [record.id for record in texts[30:34]])


def _revised(texts: tuple[Record, ...]) -> tuple[Record, ...]:
    return tuple(replace(record, document=f"{record.document} Revised.") for record in texts)


def _empty(store: StoreBuilder) -> None:
    store.create("terms")


def _one_record(store: StoreBuilder) -> None:
    store.create("terms")
    store.add("terms", records()[:1])


def _below_the_flush(store: StoreBuilder) -> None:
    store.create("terms", space="ip", sync_threshold=100, batch_size=50)
    store.add("terms", records()[:99], step=33)


def _at_the_flush(store: StoreBuilder) -> None:
    store.create("terms", space="l2", sync_threshold=100, batch_size=50)
    store.add("terms", records()[:100], step=25)


def _all_deleted(store: StoreBuilder) -> None:
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    store.add("terms", records()[:60], step=15)
    store.delete("terms", [record.id for record in records()[:60]])


def _reopened_often(store: StoreBuilder) -> None:
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    for turn in range(8):
        store.add("terms", records()[turn * 11 : turn * 11 + 11])
        store.restart()
    store.engine.call("query", collection="terms", documents=[records()[0].document], k=3)


def _several_collections(store: StoreBuilder) -> None:
    for number, space in enumerate(SPACES):
        store.create(f"by-{space}", space=space, sync_threshold=SYNC + 7 * number, batch_size=10)
    store.create("nothing")
    for start in range(0, 120, 12):
        for number, space in enumerate(SPACES):
            store.add(f"by-{space}", records()[start : start + 12 - number])
    store.delete("by-ip", [record.id for record in records()[5:9]])


def _a_collection_deleted(store: StoreBuilder) -> None:
    _several_collections(store)
    store.engine.call("delete_collection", collection="by-l2")
    store.add("by-cosine", records()[200:210])


def _large_metadata(store: StoreBuilder) -> None:
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    wide: dict[str, Scalar] = {f"key{number}": f"{number} " * 400 for number in range(40)}
    kinds: dict[str, Scalar] = {"int": 2**53, "float": 0.1, "true": True, "empty": "", "negative": -1}
    store.add(
        "terms",
        [replace(record, metadata=record.metadata | wide | kinds) for record in records()[:50]],
        step=10,
    )


_NAMES = (
    "αβγ",
    "документ",
    "文書",
    "مستند",
    "שלום",
    "ไทย",
    "emoji-🦄",
    "é-composed",
    "a/b\\c",
    "q'uote\"s",
    "0",
    "-1",
)


def _many_scripts(store: StoreBuilder) -> None:
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    named = [replace(r, id=f"{_NAMES[n % len(_NAMES)]}:{n}") for n, r in enumerate(records()[:80])]
    store.add("terms", named, step=16)
    store.delete("terms", [record.id for record in named[:5]])


def _list_metadata(store: StoreBuilder) -> None:
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    tags: dict[str, Any] = {"tags": ["a", "b", "c"], "years": [1999, 2001], "scores": [0.5, 1.5]}
    listed = [replace(record, metadata=record.metadata | tags) for record in records()[:50]]
    store.add("terms", listed, step=10)
    store.delete("terms", [record.id for record in listed[:4]])
    store.add("terms", listed[2:8], how="upsert")


def _other_parameters(store: StoreBuilder) -> None:
    store.create(
        "terms", space="l2", M=6, ef_construction=40, ef_search=30, sync_threshold=SYNC, batch_size=5
    )
    store.add("terms", records()[:150], step=30)


def _one_text_often(store: StoreBuilder) -> None:
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    store.add("terms", [replace(records()[0], id=f"copy:{number}") for number in range(70)], step=14)


def _updates_alone(store: StoreBuilder) -> None:
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    store.add("terms", records()[:40])
    for turn in range(4):
        store.update_metadata("terms", {record.id: {"turn": turn} for record in records()[:30]})


def _noise(store: StoreBuilder) -> None:
    """Adds of existing ids, updates and deletes of missing ones."""
    store.create("terms", sync_threshold=SYNC, batch_size=10)
    store.add("terms", records()[:30], step=10)
    store.add("terms", _revised(records()[20:40]), step=10)
    store.add("terms", records()[100:115], how="update")
    store.add("terms", records()[40:75], step=7)


def _many(store: StoreBuilder) -> None:
    store.create("terms", space="cosine")
    store.add("terms", fresh(MANY), step=2_000)


_SHAPES: dict[str, Steps] = {
    "empty": _empty,
    "one-record": _one_record,
    "below-the-flush": _below_the_flush,
    "at-the-flush": _at_the_flush,
    "all-deleted": _all_deleted,
    "reopened-often": _reopened_often,
    "several-collections": _several_collections,
    "a-collection-deleted": _a_collection_deleted,
    "large-metadata": _large_metadata,
    "many-scripts": _many_scripts,
    "list-metadata": _list_metadata,
    "other-parameters": _other_parameters,
    "one-text-often": _one_text_often,
    "updates-alone": _updates_alone,
    "noise": _noise,
}
_EVERYWHERE = {
    *("empty", "one-record", "all-deleted", "several-collections", "a-collection-deleted"),
    *("many-scripts", "updates-alone", "noise"),
}
