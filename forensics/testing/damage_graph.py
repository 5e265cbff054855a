"""Damages of the graph, of vectors, of the text of ids and of documents."""

from __future__ import annotations

import numpy as np

from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.readers.link_walk import LinkWalk
from forensics.testing.index import Index, index_damage


@index_damage("neighbour-out-of-range", "CF601")
def neighbour_out_of_range(index: Index, random: np.random.Generator) -> None:
    """A level-0 link of three elements points past the last one."""
    with index.level0() as level0:
        level0["links"][random.choice(len(level0), 3, replace=False), 0] = 4_000_000


@index_damage("count-too-high", "CF602")
def count_too_high(index: Index, random: np.random.Generator) -> None:
    """Two level-0 lists say that they are longer than 2M."""
    with index.level0() as level0:
        level0["count"][random.choice(len(level0), 2, replace=False)] = 60_000


@index_damage("entry-point-out-of-range", "CF603")
def entry_point_out_of_range(index: Index, random: np.random.Generator) -> None:
    """The entry point is past the last element."""
    index.edit_header(enterpoint=index.header.cur_element_count + 5)


@index_damage("top-level-too-high", "CF603")
def top_level_too_high(index: Index, random: np.random.Generator) -> None:
    """maxlevel is one above the levels that the entry point has."""
    index.edit_header(maxlevel=index.header.maxlevel + 1)


@index_damage("neighbours-repeated", "CF604")
def neighbours_repeated(index: Index, random: np.random.Generator) -> None:
    """Three elements name their first neighbour twice, and three name themselves."""
    with index.level0() as level0:
        chosen = random.choice(len(level0), 6, replace=False)
        level0["links"][chosen[:3], 1] = level0["links"][chosen[:3], 0]
        level0["links"][chosen[3:], 0] = chosen[3:]


@index_damage("upper-link-to-the-ground", "CF605")
def upper_link_to_the_ground(index: Index, random: np.random.Generator) -> None:
    """A list of the first upper level names an element that has no list there."""
    from forensics.writers.link_surgery import write_lists

    walk = HnswFiles(index.directory).links
    assert isinstance(walk, LinkWalk)
    elements, counts, links = walk.level(1)
    changed = links[:1].copy()
    changed[0, 0] = int(np.flatnonzero(walk.levels == 0)[0])
    raw = np.memmap(index.path(layout.LINKS_FILE), dtype=np.uint8, mode="r+")
    write_lists(walk, raw, 1, elements[:1], np.maximum(counts[:1], 1), changed)
    raw.flush()


@index_damage("made-unreachable", "CF606")
def made_unreachable(index: Index, random: np.random.Generator) -> None:
    """No list names any of sixty elements any more, all of them without upper levels."""
    from forensics.writers.link_surgery import compacted

    walk = HnswFiles(index.directory).links
    assert isinstance(walk, LinkWalk)
    hidden = random.choice(np.flatnonzero(walk.levels == 0), 60, replace=False)
    with index.level0() as level0:
        used = np.arange(level0["links"].shape[1])[None, :] < level0["count"][:, None]
        keep = used & (~np.isin(level0["links"], hidden) | np.isin(np.arange(len(level0)), hidden)[:, None])
        level0["count"], level0["links"] = compacted(level0["links"], keep)


@index_damage("mostly-deleted", "CF607")
def mostly_deleted(index: Index, random: np.random.Generator) -> None:
    """Seven records in ten were deleted, and their elements are still there. In a small index only a note
    (CF607)."""
    with index.id_map() as state:
        count = 7 * len(state["id_to_label"]) // 10
    ids = index.some_ids(random, count)
    index.flag(index.unmap(ids))
    index.forget(ids)


@index_damage("links-to-strangers", "CF608", deep=True)
def links_to_strangers(index: Index, random: np.random.Generator) -> None:
    """Every list of level 0 names two elements wherever they lie: all are reached, and few on the way to the nearest."""
    with index.level0() as level0:
        around = random.permutation(len(level0)).astype(np.uint32)
        level0["count"] = 2
        level0["links"][around, 0], level0["links"][around, 1] = np.roll(around, 1), np.roll(around, -1)


@index_damage("links-emptied", "CF609")
def links_emptied(index: Index, random: np.random.Generator) -> None:
    """Five elements have no links at all."""
    with index.level0() as level0:
        level0["count"][random.choice(len(level0), 5, replace=False)] = 0


@index_damage("ids-padded", "CF701")
def ids_padded(index: Index, random: np.random.Generator) -> None:
    """A blank stands behind two ids, and a zero-width space in a third."""
    first, second, third = index.some_ids(random, 3)
    index.rename(first, first + " ")
    index.rename(second, second + " ")
    index.rename(third, third[:3] + "\u200b" + third[3:])


@index_damage("ids-alike", "CF702")
def ids_alike(index: Index, random: np.random.Generator) -> None:
    """Two records have ids that differ in a blank alone."""
    first, second = index.some_ids(random, 2)
    index.rename(second, first[:3] + " " + first[3:])


@index_damage("id-doubled", "CF703")
def id_doubled(index: Index, random: np.random.Generator) -> None:
    """Two rows have one id; the table has lost its constraint."""
    with index.sql() as database:
        columns = "id, segment_id, embedding_id, seq_id, created_at"
        database.execute("ALTER TABLE embeddings RENAME TO strict_embeddings")
        database.execute(
            "CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL, embedding_id "
            "TEXT NOT NULL,"
            " seq_id BLOB NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        )
        database.execute(f"INSERT INTO embeddings ({columns}) SELECT {columns} FROM strict_embeddings")
        database.execute("DROP TABLE strict_embeddings")
        database.execute(
            "INSERT INTO embeddings (segment_id, embedding_id, seq_id)"
            " SELECT segment_id, embedding_id, seq_id FROM embeddings WHERE id = 5"
        )


@index_damage("vectors-not-finite", "CF704")
def vectors_not_finite(index: Index, random: np.random.Generator) -> None:
    """One vector has a NaN, another one an infinite component."""
    with index.level0() as level0:
        level0["vector"][5, 0], level0["vector"][6, 1] = np.nan, np.inf


@index_damage("vectors-zeroed", "CF705")
def vectors_zeroed(index: Index, random: np.random.Generator) -> None:
    """Two vectors are zero."""
    with index.level0() as level0:
        level0["vector"][7:9] = 0


@index_damage("vectors-stretched", "CF706")
def vectors_stretched(index: Index, random: np.random.Generator) -> None:
    """Three vectors of a cosine index are five times as long as they should be."""
    with index.level0() as level0:
        level0["vector"][9:12] *= 5


@index_damage("documents-removed", "CF707")
def documents_removed(index: Index, random: np.random.Generator) -> None:
    """Three records have no document any more. Only a note (CF707)."""
    with index.sql() as database:
        for row in (3, 4, 5):
            database.execute("DELETE FROM embedding_fulltext_search WHERE rowid = ?", (row,))
            database.execute(
                "DELETE FROM embedding_metadata WHERE id = ? AND key = 'chroma:document'", (row,)
            )


@index_damage("documents-not-text", "CF708")
def documents_not_text(index: Index, random: np.random.Generator) -> None:
    """The document of one record is a number, that of another one a BLOB."""
    with index.sql() as database:
        sql = "UPDATE embedding_metadata SET {} WHERE id = ? AND key = 'chroma:document'"
        database.execute(sql.format("string_value = NULL, int_value = 7"), (8,))
        database.execute(sql.format("string_value = x'00ff'"), (9,))
