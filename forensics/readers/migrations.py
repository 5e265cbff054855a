"""The migrations that Chroma released: which release brought which, and what a store's set tells of it.

Taken from the tags of chroma-core/chroma. `hash` is the MD5 of the SQL text; 1.x has the same
texts in its Rust part. A store gets the missing ones at every open: its set tells the newest release that
had it open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forensics.absent import Absent
from forensics.readers.database import Migration

LAST_KNOWN = "1.5.9"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Released:
    """A migration as released; `first` is the first tag that has it."""

    dir: str
    version: int
    filename: str
    hash: str
    first: str

    @property
    def key(self) -> tuple[str, int]:
        """The primary key of table `migrations`."""
        return self.dir, self.version


RELEASED: tuple[Released, ...] = tuple(
    Released(directory, version, f"{version:05d}-{name}.sqlite.sql", md5, first)
    for directory, version, name, md5, first in (
        ("embeddings_queue", 1, "embeddings", "d3755dfd232be8e8301f4d7fcfb3a486", "0.4.0"),
        ("embeddings_queue", 2, "embeddings-queue-config", "8fbfe4ffb3e57f1d8bfdc58510a82e85", "0.5.6"),
        ("metadb", 1, "embedding-metadata", "2b4cf52c4bb2676e21d6860a4409f856", "0.4.0"),
        ("metadb", 2, "embedding-metadata", "12a570f7121b3a8ce750a2a7c36da20f", "0.4.4"),
        ("metadb", 3, "full-text-tokenize", "f97ad6334aeaa8f419f01110b648b97a", "0.4.6"),
        ("metadb", 4, "metadata-indices", "fb36603a45ee2cd0254cef3ef86585e8", "0.5.6"),
        ("metadb", 5, "max-seq-id-int", "0e9de46758761b373ce682925edcc326", "1.0.0"),
        ("metadb", 6, "metadata-array-support", "e026f01ea92c1baa1493f4ad5ca7cfe7", "1.5.0"),
        ("sysdb", 1, "collections", "38352d725ad1c16074fac420b22b4633", "0.4.0"),
        ("sysdb", 2, "segments", "2913cb6a503055a95f625448037e8912", "0.4.0"),
        ("sysdb", 3, "collection-dimension", "42d22d0574d31d419c2a0e7f625c93aa", "0.4.0"),
        ("sysdb", 4, "tenants-databases", "048867ce8fcdefe4023c7110e4433591", "0.4.15"),
        ("sysdb", 5, "remove-topic", "b1367c826b8fba5f96f27befdc1d42d2", "0.5.0"),
        ("sysdb", 6, "collection-segment-metadata", "4eea7468935bf25d4604a0fed2366116", "0.5.1"),
        ("sysdb", 7, "collection-config", "1c7e63bba346a42a18b6ab7f1c989bed", "0.5.4"),
        ("sysdb", 8, "maintenance-log", "0a0e7e93111a01789addf64961c6127c", "0.5.6"),
        ("sysdb", 9, "segment-collection-not-null", "054355aef9e63702bf54ea29e61563f1", "0.5.6"),
        ("sysdb", 10, "collection-schema", "5c3a5ac4b79df76799b4721827ed5e1d", "1.3.0"),
    )
)
BY_KEY = {migration.key: migration for migration in RELEASED}

# (first tag with a set of migrations, last tag with the same set)
SPANS: tuple[tuple[str, str], ...] = (
    ("0.4.0", "0.4.3"),
    ("0.4.4", "0.4.5"),
    ("0.4.6", "0.4.14"),
    ("0.4.15", "0.4.24"),
    ("0.5.0", "0.5.0"),
    ("0.5.1", "0.5.3"),
    ("0.5.4", "0.5.5"),
    ("0.5.6", "0.6.3"),
    ("1.0.0", "1.2.2"),
    ("1.3.0", "1.4.1"),
    ("1.5.0", ""),
)


def order(version: str) -> tuple[int, ...]:
    """A release number in an order that sorts: 0.5.23 above 0.5.6."""
    return tuple(int(part) for part in version.split("."))


def set_of(first: str) -> frozenset[tuple[str, int]]:
    """The (dir, version) of every migration that release `first` has."""
    return frozenset(migration.key for migration in RELEASED if order(migration.first) <= order(first))


def span_of(keys: Iterable[tuple[str, int]]) -> tuple[str, str] | None:
    """First and last release with the newest of these migrations; last is "" where no later set is known."""
    known = [order(BY_KEY[key].first) for key in keys if key in BY_KEY]
    return next((span for span in SPANS if known and order(span[0]) == max(known)), None)


def newer_than_known(keys: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those above the highest released one of their folder, or in a folder that no release has."""
    highest = {migration.dir: migration.version for migration in RELEASED}
    return sorted(key for key in keys if key[1] > highest.get(key[0], 0))


def keys_of(migrations: Iterable[Migration]) -> list[tuple[str, int]]:
    """(dir, version) of each row that names a folder and a number."""
    return [(row.dir, row.version) for row in migrations if _is_named(row)]


def _is_named(row: Migration) -> bool:
    return isinstance(row.dir, str) and isinstance(row.version, int)  # pyright: ignore[reportUnnecessaryIsInstance] - a cell may hold anything


def written_by(migrations: tuple[Migration, ...] | Absent) -> str:
    """The releases whose set of migrations this is, by the newest one present.

    "1.5.0 or later", "1.0.0 – 1.2.2", "0.5.0", "later than 1.5.9" (one not released by then), "unknown".
    """
    if isinstance(migrations, Absent):
        return UNKNOWN
    keys = keys_of(migrations)
    if newer_than_known(keys):
        return f"later than {LAST_KNOWN}"
    span = span_of(keys)
    if span is None:
        return UNKNOWN
    first, last = span
    return f"{first} or later" if not last else first if first == last else f"{first} – {last}"
