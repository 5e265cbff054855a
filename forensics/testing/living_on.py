"""Does a repaired store live on? Its own release answers with the truth, takes writes past two flushes, and loses nothing.

problems = lives_on(copy, {"terms": Truth.of_sample("0.6.3/healthy")}, release_python("0.6.3"))
assert problems == []        # `copy` is written to: a throw-away one
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from forensics import samples
from forensics.engine.verify import same_vectors
from forensics.testing.builder import Engine, EngineDied, EngineHung, EngineRaised, as_json
from forensics.testing.embedder import embed
from forensics.testing.oracle import NEIGHBOURS, near
from forensics.testing.texts import Record, Scalar, fresh

ASKED = 60
"""Records that are searched by their own text at each look; the seed is that of the turn."""
UNSEEN = {"cosine": 0.02, "l2": 0.02, "ip": 0.1}
"""The share of them that may be missed at most: a fresh graph, too, has elements that searches do not meet, by inner
product more of them."""
CHANGED = 5
"""Records that are upserted, and as many that are deleted, of those that were there at the start."""
CALL = 50
LOOKS = ("at first", "after adding", "killed after changing and adding again")
FIRST_FRESH = 70_000
Documents = dict[str, str | None]
Metadata = dict[str, Scalar]
Found = Iterator[str]


@dataclass(frozen=True, slots=True)
class Truth:
    """What one collection must answer: per id its document, metadata and vector (as given, before any normalising).

    `flush`: so many new records pass a flush. An id without a vector in `vectors` is one whose vector is not compared.
    """

    space: str
    flush: int
    documents: Documents = field(repr=False)
    metadatas: dict[str, Metadata] = field(repr=False)
    vectors: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def of_sample(cls, name: str, collection: str = "terms") -> Truth:
        """What the user of a sample believes to be in that collection."""
        told = samples.truth(name)[collection]
        (made,) = (one for one in samples.manifest(name)["collections"] if one["name"] == collection)
        return cls(
            told.space,
            past_a_flush(made["settings"]),
            dict(zip(told.ids, told.documents, strict=True)),
            dict(zip(told.ids, told.metadatas, strict=True)),
            dict(zip(told.ids, told.vectors, strict=True)),
        )

    def without(self, ids: Sequence[str]) -> Truth:
        """The same after these ids are deleted."""
        gone = set(ids)
        kept = ({id: each for id, each in of.items() if id not in gone} for of in self._parts)
        return replace(self, **dict(zip(("documents", "metadatas", "vectors"), kept, strict=True)))

    def having(self, records: Sequence[Record]) -> Truth:
        """The same after these records are written; their vectors are the embeddings of their documents."""
        documents, metadatas, vectors = map(dict[str, Any], self._parts)
        rows = embed([record.document for record in records])
        for record, vector in zip(records, rows, strict=True):
            documents[record.id], vectors[record.id] = record.document, vector
            metadatas[record.id] = metadatas.get(record.id, {}) | record.metadata
        return replace(self, documents=documents, metadatas=metadatas, vectors=vectors)

    @property
    def _parts(self) -> tuple[dict[str, Any], ...]:
        return self.documents, self.metadatas, self.vectors


def past_a_flush(settings: Mapping[str, Any]) -> int:
    """So many writes pass a flush of a collection with these settings, also where batches must fill first."""
    return int(settings.get("sync_threshold", 1000)) + 2 * int(settings.get("batch_size", 10))


def lives_on(store: Path, truths: Mapping[str, Truth], python: Path | str) -> list[str]:
    """What is wrong, a line each; nothing where the release of `python` opens the store, answers, adds past a flush,
    deletes, upserts, adds past another one, is killed, opens it again, and each record is what it should be.
    """
    with Life(store, python, dict(truths)) as life:
        try:
            return [*life.whole()]
        except EngineRaised as error:
            return [*life.problems, f"{life.doing}: {error}"[:300]]
        except (EngineDied, EngineHung) as error:
            return [*life.problems, f"{life.doing}: {error}"]


class Life:
    """One store, engine processes on it one after the other, and what they must answer."""

    def __init__(self, store: Path, python: Path | str, truths: dict[str, Truth]) -> None:
        self.store, self.python, self.truths = store, python, truths
        self.engine: Engine | None = None
        self.doing, self.problems = "opening", list[str]()

    def whole(self) -> list[str]:
        """The whole life; it ends with the first look that shows something wrong."""
        for turn, step in enumerate((self._nothing, self._add, self._change)):
            for name in self.truths:
                step(name, turn)
            self._reopen(killed=turn == 2)
            self.doing = (
                f"{('at first', 'after adding', 'after changing', 'killed after adding again')[turn]}"
            )
            for name in self.truths:
                self.problems += [f"{LOOKS[turn]}: {name}: {text}" for text in self._look(name, turn)]
            if self.problems:
                break
        return self.problems

    def ask(self, call: str, name: str, **arguments: Any) -> Any:
        if self.engine is None:
            self.engine = Engine(self.store, self.python)
        self.doing = f"{self.doing.split(', ')[0]}, {call} of {name}"
        return self.engine.call(call, collection=name, **arguments)

    # --- writing ---

    def _nothing(self, name: str, turn: int) -> None:
        """The first look is at the store as it is."""

    def _add(self, name: str, turn: int) -> None:
        count = self.truths[name].flush
        self._write(name, "add", fresh(count, start=FIRST_FRESH + 2_000 * turn))

    def _change(self, name: str, turn: int) -> None:
        """Upserts some of the first records and a new one, deletes some, and one that was added; then adds again."""
        truth, chance = self.truths[name], random.Random(turn)
        there = sorted(id for id, text in truth.documents.items() if text)
        chosen = chance.sample(there, min(2 * CHANGED, len(there) // 2 * 2))
        half, added = len(chosen) // 2, fresh(1, start=FIRST_FRESH + 2_000)[0].id
        changed = [Record(id, f"{truth.documents[id]} Revised.", {"year": 2031}) for id in chosen[:half]]
        self._write(name, "upsert", [*changed, *fresh(1, start=FIRST_FRESH - 1)])
        deleted = [*chosen[half:], added]
        self.ask("delete", name, ids=deleted)
        self.truths[name] = self.truths[name].without(deleted)
        self._add(name, turn)

    def _write(self, name: str, how: str, records: Sequence[Record]) -> None:
        for start in range(0, len(records), CALL):
            part = [as_json(record) for record in records[start : start + CALL]]
            self.ask("write", name, how=how, records=part)
        self.truths[name] = self.truths[name].having(records)

    def _reopen(self, *, killed: bool) -> None:
        """Another process answers from here on; nothing is flushed when one ends, killed or not."""
        if self.engine is not None:
            self.engine.kill() if killed else self.engine.close()
            self.engine = None

    # --- looking ---

    def _look(self, name: str, turn: int) -> Found:
        truth = self.truths[name]
        count, documents = self.ask("count", name), self.ask("documents", name)
        if count != len(truth.documents):
            yield f"count {count} of {len(truth.documents)}"
        yield from _ids(documents, truth)
        yield from _texts(documents, truth)
        yield from _metadata(self.ask("metadatas", name), truth)
        yield from _vectors(self.ask("vectors", name), truth)
        yield from self._search(name, truth, random.Random(turn))

    def _search(self, name: str, truth: Truth, chance: random.Random) -> Found:
        """More records than may be that are not among the nearest to their own text, and ids that are of no record."""
        whole = sorted(id for id, text in truth.documents.items() if text and id in truth.vectors)
        every = np.array([truth.vectors[id] for id in whole])
        asked = sorted(chance.sample(range(len(whole)), min(ASKED, len(whole))))
        if not asked:
            return
        texts = [truth.documents[whole[row]] for row in asked]
        answers = self.ask("query", name, documents=texts, k=min(NEIGHBOURS, len(whole)))
        findable = near(every, truth.space)[asked]
        missed = [
            whole[row]
            for row, ids, is_near in zip(asked, answers, findable, strict=True)
            if is_near and whole[row] not in ids
        ]
        if len(missed) > max(1, UNSEEN[truth.space] * len(asked)):
            yield f"{len(missed)} of {len(asked)} not found by their own text: {_some(missed)}"
        unknown = {id for ids in answers for id in ids} - truth.documents.keys()
        if unknown:
            yield f"a search returns ids that are none: {_some(unknown)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reopen(killed=False)


def _ids(documents: Documents, truth: Truth) -> Found:
    lost, risen = truth.documents.keys() - documents.keys(), documents.keys() - truth.documents.keys()
    if lost:
        yield f"{len(lost)} ids lost: {_some(lost)}"
    if risen:
        yield f"{len(risen)} ids too many: {_some(risen)}"


def _texts(documents: Documents, truth: Truth) -> Found:
    both = documents.keys() & truth.documents.keys()
    if other := [id for id in both if documents[id] != truth.documents[id]]:
        yield f"{len(other)} documents are others: {_some(other)}"


def _metadata(metadatas: dict[str, Metadata | None], truth: Truth) -> Found:
    both = metadatas.keys() & truth.metadatas.keys()
    if other := [id for id in both if (metadatas[id] or {}) != truth.metadatas[id]]:
        yield f"{len(other)} have other metadata: {_some(other)}"


def _vectors(answer: dict[str, Any], truth: Truth) -> Found:
    """Bit for bit; of a cosine index to one step of float32, since it holds them normalised."""
    given, rows = answer["ids"], answer["vectors"]
    if len(given) != len(rows):
        yield f"{len(rows)} vectors for {len(given)} ids"
        return
    asked = [row for row, id in enumerate(given) if id in truth.vectors]
    if not asked:
        return
    got = np.array([rows[row] for row in asked], dtype=np.float32)
    wanted = np.array([truth.vectors[given[row]] for row in asked], dtype=np.float32)
    if got.shape != wanted.shape:
        yield f"vectors of shape {got.shape} instead of {wanted.shape}"
        return
    same = same_vectors(got, wanted, truth.space)
    if other := [given[row] for row, is_same in zip(asked, same, strict=True) if not is_same]:
        yield f"{len(other)} vectors are others: {_some(other)}"


def _some(ids: Any) -> str:
    return ", ".join(sorted(ids)[:3])
