"""Vectors that an embedder has made, kept in the case batch by batch, so that what was paid for once is not asked again.

One file per embedder, `<case>/embedded/<name and hash>.bin`: frames, each appended whole and synced before the next
batch is asked. A frame is its magic, the time, the seconds that the embedder took, how many vectors of how many
components, a CRC-32 of what follows, the keys (16 bytes of BLAKE2b of each text) and the vectors (float32). No text is
kept. What a crash cut short at the end is not read, and is cut off before the next frame.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from pathlib import Path

import numpy as np

from forensics.durable import BINARY, room, sync_directory

FOLDER = "embedded"
MAGIC = b"CFEMBED1"
HEAD = struct.Struct("<8sddIII")
KEY = 16
COMPONENT = 4
_PLACE: ContextVar[Path | None] = ContextVar("embedded", default=None)


@contextmanager
def keeping(case: Path) -> Generator[None]:
    """Inside the block what embedders make is kept in that case folder, and what is kept there is not asked again."""
    token = _PLACE.set(case / FOLDER)
    try:
        yield
    finally:
        _PLACE.reset(token)


def kept_for(identity: str) -> Kept:
    """What that embedder has made: in the case that is being worked on, else in memory alone."""
    place = _PLACE.get()
    return Kept() if place is None else KeptOnDisk(place / f"{identity}.bin")


def place() -> Path | None:
    """Where vectors are kept now; None outside of `keeping`."""
    return _PLACE.get()


def keys_of(texts: Iterable[str]) -> list[bytes]:
    """What a vector is kept under."""
    return [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY).digest() for text in texts]


class Kept:
    """Vectors by the key of their text, in memory."""

    since: float | None = None
    """When the last of them was made, before this object was; None where there were none."""

    def __init__(self) -> None:
        self._rows: dict[bytes, np.ndarray] = {}
        self._took: list[tuple[int, float]] = []

    @property
    def per_second(self) -> float | None:
        """Texts that were embedded in a second, without the slowest batch where there are more: it may have loaded a
        model. None where nothing was embedded.
        """
        batches = sorted(self._took, key=lambda each: each[1] / each[0])
        counted = batches[:-1] or batches
        seconds = sum(took for _, took in counted)
        return sum(count for count, _ in counted) / seconds if seconds > 0 else None

    def refresh(self) -> None:
        """What others have kept meanwhile is known."""

    def has(self, key: bytes, dim: int) -> bool:
        """True where a vector of that many components is kept for that text."""
        return key in self._rows and len(self._rows[key]) == dim

    def rows(self, keys: Sequence[bytes], dim: int) -> np.ndarray:
        """(n, dim) float32. Raises KeyError for a text of which none is kept."""
        return np.stack([self._rows[key] for key in keys]) if keys else np.empty((0, dim), dtype=np.float32)

    def put(self, keys: Sequence[bytes], vectors: np.ndarray, seconds: float) -> None:
        """They are kept from now on; the embedder took so many seconds."""
        self._rows.update(zip(keys, vectors, strict=True))
        self._took.append((len(keys), seconds))


class KeptOnDisk(Kept):
    """The same in a file; a vector that `put` has returned for survives a crash."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._at: dict[tuple[bytes, int], int] = {}
        self._end = 0
        self.refresh()

    def refresh(self) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self._end:  # another case stands there now
            self._at.clear()
            self._end = 0
        if size > self._end:
            self._end = self._read(self._end)

    def has(self, key: bytes, dim: int) -> bool:
        return (key, dim) in self._at

    def rows(self, keys: Sequence[bytes], dim: int) -> np.ndarray:
        if not keys:
            return np.empty((0, dim), dtype=np.float32)
        size = dim * COMPONENT
        with open(self.path, "rb") as file:
            raw = b"".join(_exactly(file.fileno(), size, self._at[key, dim]) for key in keys)
        return np.frombuffer(raw, dtype="<f4").reshape(len(keys), dim).copy()

    def put(self, keys: Sequence[bytes], vectors: np.ndarray, seconds: float) -> None:
        self.refresh()
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        body = b"".join(keys) + rows.tobytes()
        head = HEAD.pack(MAGIC, time.time(), seconds, len(keys), rows.shape[1], zlib.crc32(body))
        with room("a finished batch of vectors was kept in the case"):
            self._append(head + body)
        self._note(keys, rows.shape[1], self._end + HEAD.size)
        self._took.append((len(keys), seconds))
        self._end += HEAD.size + len(body)

    def _append(self, frame: bytes) -> None:
        """The file ends with that frame, on the disk; on a full disk it is what it was."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | BINARY, 0o600)
        try:
            os.ftruncate(descriptor, self._end)
            os.lseek(descriptor, self._end, os.SEEK_SET)
            view = memoryview(frame)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, self._end)
            raise
        finally:
            os.close(descriptor)
        if new:
            sync_directory(self.path.parent)

    def _note(self, keys: Sequence[bytes], dim: int, start: int) -> None:
        first = start + len(keys) * KEY
        self._at.update(((key, dim), first + i * dim * COMPONENT) for i, key in enumerate(keys))

    def _read(self, at: int) -> int:
        """Where the last whole frame ends; each from `at` on is noted."""
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            file.seek(at)
            while len(head := file.read(HEAD.size)) == HEAD.size:
                magic, made, seconds, count, dim, crc = HEAD.unpack(head)
                length = count * (KEY + dim * COMPONENT)
                if magic != MAGIC or at + HEAD.size + length > size:
                    break
                body = file.read(length)
                if zlib.crc32(body) != crc:
                    break
                keys = [body[i * KEY : (i + 1) * KEY] for i in range(count)]
                self._note(keys, dim, at + HEAD.size)
                self._took.append((count, seconds))
                self.since, at = made, at + HEAD.size + length
        return at


def _exactly(descriptor: int, size: int, offset: int) -> bytes:
    raw = os.pread(descriptor, size, offset)
    if len(raw) != size:
        raise OSError(f"{size} bytes at {offset} of the kept vectors are gone")
    return raw
