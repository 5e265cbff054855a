"""What breaks the sample stores: each function does what its name says, and nothing else."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forensics.testing.builder import Engine, EngineDied, StoreBuilder, as_json
from forensics.testing.packing import data_extents
from forensics.testing.texts import Record

_COUNT_AT, _RECORD_SIZE_AT, _ENTRY_POINT_AT = 20, 28, 56


def killed_at_first_write(path: Path) -> list[str]:
    """The prefix of a command that dies by SIGKILL when it first writes to `path`; needs strace."""
    calls = "write,pwrite64,writev"
    inject = f"inject={calls}:signal=SIGKILL:when=1"
    return ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(path), "-e", f"trace={calls}", "-e", inject]


def cut_flush(
    store: StoreBuilder, collection: str, directory: Path, batches: list[tuple[Record, ...]]
) -> None:
    """Adds batches in a process that is killed at its first write to data_level0.bin, in the last of them.

    Acknowledged batches go to the model; the records of the last one are in doubt."""
    prefix = killed_at_first_write(directory / "data_level0.bin")
    with Engine(store.store, store.python, prefix=prefix) as engine:
        for batch in batches:
            rows = [as_json(record) for record in batch]
            if not _survives(engine, collection, rows):
                assert batch == batches[-1], "the flush came before the last batch"
                store.model.in_doubt[collection] += batch
                return
            store.model.write(collection, "add", batch)
    raise AssertionError("the engine never wrote to data_level0.bin")


def _survives(engine: Engine, collection: str, rows: list[dict[str, Any]]) -> bool:
    try:
        engine.call("write", collection=collection, how="add", records=rows)
    except EngineDied as died:
        if died.how != "SIGKILL":
            raise
        return False
    return True


def edit_id_map(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes an id map that 1.x wrote (a plain dict, protocol 3) in place. Only for files made here."""
    id_map = pickle.loads(path.read_bytes())
    change(id_map)
    path.write_bytes(pickle.dumps(id_map, protocol=3))


def cut(path: Path, size: int) -> None:
    """Keeps the first `size` bytes."""
    assert 0 <= size < path.stat().st_size
    os.truncate(path, size)


def set_neighbour(directory: Path, element: int, slot: int, neighbour: int) -> None:
    """Overwrites one existing level-0 link of one element."""
    header = (directory / "header.bin").read_bytes()
    (size,) = struct.unpack_from("<Q", header, _RECORD_SIZE_AT)
    (elements,) = struct.unpack_from("<Q", header, _COUNT_AT)
    with (directory / "data_level0.bin").open("r+b") as file:
        file.seek(element * size)
        (count,) = struct.unpack("<H", file.read(2))
        assert element < elements
        assert slot < count
        file.seek(element * size + 4 + 4 * slot)
        file.write(struct.pack("<I", neighbour))


def entry_point(directory: Path) -> int:
    """The internal id from which every search starts."""
    return struct.unpack_from("<I", (directory / "header.bin").read_bytes(), _ENTRY_POINT_AT)[0]


def copy_store(source: Path, target: Path) -> None:
    """A plain copy of a store; holes stay holes."""
    for path in sorted(source.rglob("*")):
        copied = target / path.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            _copy_file(path, copied)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        for start, length in data_extents(source):
            os.pwrite(new.fileno(), os.pread(old.fileno(), length, start), start)
        os.truncate(new.fileno(), source.stat().st_size)
    shutil.copystat(source, target)


def retried(store: Path, attempt: Callable[[], None], good: Callable[[], bool], times: int = 200) -> None:
    """Repeats what depends on uninitialised memory, each time from a copy, until the result is `good`."""
    before = store.with_name(f"{store.name}-before")
    store.rename(before)
    for _ in range(times):
        copy_store(before, store)
        attempt()
        if good():
            shutil.rmtree(before)
            return
        shutil.rmtree(store)
    raise AssertionError(f"no attempt of {times} had the wanted result")
