"""Bytes, links and rows of a finished repair's stores, changed by a dice; what `tampering` does to them."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER = struct.Struct("<i6QiI3QdQ")


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished repair: the case, a whole copy of the old store, the new one, and the seal that was printed."""

    case: Path
    old: Path
    new: Path
    seal: str

    def copied(self, folder: Path) -> Finished:
        """The same in an empty folder of its own."""
        for name in ("case", "old", "new"):
            shutil.copytree(getattr(self, name), folder / name)
        return Finished(folder / "case", folder / "old", folder / "new", self.seal)

    def read(self, name: str) -> Any:
        return json.loads((self.case / name).read_text(encoding="utf-8"))

    def write(self, name: str, value: Any) -> None:
        (self.case / name).write_text(json.dumps(value), encoding="utf-8")

    def evidence(self, pattern: str) -> list[Path]:
        return sorted((self.case / "evidence").glob(pattern))


@dataclass(frozen=True, slots=True)
class Index:
    """The one persisted index of a store, for changing bytes."""

    folder: Path
    count: int
    size: int
    first: int

    @classmethod
    def of(cls, store: Path) -> Index:
        folder = max(
            store.glob("*/data_level0.bin"), key=lambda path: ("." not in path.parent.name, path)
        ).parent
        fields = HEADER.unpack((folder / "header.bin").read_bytes())
        return cls(folder, fields[3], fields[4], fields[6])

    def live(self) -> list[int]:
        raw = (self.folder / "data_level0.bin").read_bytes()
        return [i for i in range(self.count) if not raw[i * self.size + 2] & 1]

    def change(self, name: str, at: int, raw: bytes) -> None:
        with open(self.folder / name, "r+b") as handle:
            handle.seek(at)
            handle.write(raw)

    def part(self, element: int, start: int, length: int) -> bytes:
        raw = (self.folder / "data_level0.bin").read_bytes()
        return raw[element * self.size + start :][:length]


def swap_vectors(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    dim = index.size - index.first - 8
    one, other = dice.sample(index.live(), 2)
    for here, there in (
        (one, index.part(other, index.first, dim)),
        (other, index.part(one, index.first, dim)),
    ):
        index.change("data_level0.bin", here * index.size + index.first, there)


def flip_a_bit(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    element, at = dice.choice(index.live()), index.first + dice.randrange(index.size - index.first - 8)
    byte = index.part(element, at, 1)[0] ^ (1 << dice.randrange(8))
    index.change("data_level0.bin", element * index.size + at, bytes([byte]))


def swap_labels(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    one, other = dice.sample(index.live(), 2)
    for here, there in (
        (one, index.part(other, index.size - 8, 8)),
        (other, index.part(one, index.size - 8, 8)),
    ):
        index.change("data_level0.bin", here * index.size + index.size - 8, there)


def flag_deleted(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    index.change("data_level0.bin", dice.choice(index.live()) * index.size + 2, b"\1")


def break_a_link(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    linked = [i for i in index.live() if index.part(i, 0, 2) != b"\0\0"]
    far = struct.pack("<I", index.count + dice.randrange(1, 1 << 20))
    index.change("data_level0.bin", dice.choice(linked) * index.size + 4, far)


def drop_a_link(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    linked = [i for i in index.live() if index.part(i, 0, 2) != b"\0\0"]
    element = dice.choice(linked)
    (count,) = struct.unpack("<H", index.part(element, 0, 2))
    index.change("data_level0.bin", element * index.size, struct.pack("<H", count - 1))


def count_one_less(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    index.change("header.bin", 20, struct.pack("<Q", index.count - 1))


def move_the_enterpoint(done: Finished, dice: random.Random) -> None:
    index = Index.of(done.new)
    (enter,) = struct.unpack("<I", (index.folder / "header.bin").read_bytes()[56:60])
    index.change(
        "header.bin", 56, struct.pack("<I", (enter + 1 + dice.randrange(index.count - 1)) % index.count)
    )


def put_the_original_back(done: Finished, dice: random.Random) -> None:
    files = [p for p in done.new.rglob("*") if p.is_file() and (done.old / p.relative_to(done.new)).is_file()]
    changed = [p for p in files if p.read_bytes() != (done.old / p.relative_to(done.new)).read_bytes()]
    chosen = dice.choice(sorted(changed))
    shutil.copyfile(done.old / chosen.relative_to(done.new), chosen)


def add_a_file(done: Finished, dice: random.Random) -> None:
    (dice.choice([done.old, done.new]) / f"stray-{dice.randrange(1000)}.bin").write_bytes(b"stray")


def _sql(store: Path, sql: str, *given: object) -> None:
    connection = sqlite3.connect(store / "chroma.sqlite3", isolation_level=None)
    done = connection.execute(sql, given)
    assert done.rowcount, sql
    connection.close()


def _row(store: Path, sql: str, dice: random.Random) -> Any:
    connection = sqlite3.connect(store / "chroma.sqlite3")
    found = dice.choice(connection.execute(sql).fetchall())
    connection.close()
    return found


def rename_an_id(done: Finished, dice: random.Random) -> None:
    (rowid,) = _row(done.new, "SELECT id FROM embeddings ORDER BY id", dice)
    _sql(done.new, "UPDATE embeddings SET embedding_id = embedding_id || 'x' WHERE id = ?", rowid)


def drop_a_record(done: Finished, dice: random.Random) -> None:
    (rowid,) = _row(done.new, "SELECT id FROM embeddings ORDER BY id", dice)
    _sql(done.new, "DELETE FROM embeddings WHERE id = ?", rowid)


def edit_a_document(done: Finished, dice: random.Random) -> None:
    sql = "SELECT rowid FROM embedding_metadata WHERE key = 'chroma:document' ORDER BY rowid"
    _sql(
        done.new,
        "UPDATE embedding_metadata SET string_value = 'edited' WHERE rowid = ?",
        _row(done.new, sql, dice)[0],
    )


def edit_metadata(done: Finished, dice: random.Random) -> None:
    sql = "SELECT rowid FROM embedding_metadata WHERE key NOT LIKE 'chroma:%' ORDER BY rowid"
    _sql(
        done.new,
        "UPDATE embedding_metadata SET string_value = 'edited' WHERE rowid = ?",
        _row(done.new, sql, dice)[0],
    )


def drop_a_queue_row(done: Finished, dice: random.Random) -> None:
    (seq_id,) = _row(done.new, "SELECT seq_id FROM embeddings_queue ORDER BY seq_id", dice)
    _sql(done.new, "DELETE FROM embeddings_queue WHERE seq_id = ?", seq_id)


def edit_the_catalogue(done: Finished, dice: random.Random) -> None:
    _sql(done.new, "UPDATE collections SET dimension = dimension + ?", dice.randrange(1, 9))


def change_an_old_vector(done: Finished, dice: random.Random) -> None:
    flip_a_bit(Finished(done.case, done.old, done.old, done.seal), dice)


def change_an_old_row(done: Finished, dice: random.Random) -> None:
    edit_a_document(Finished(done.case, done.old, done.old, done.seal), dice)
