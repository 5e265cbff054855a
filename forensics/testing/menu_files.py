"""Damages of the four binary files of a segment."""

from __future__ import annotations

import os
import shutil

import numpy as np

from forensics.readers import layout
from forensics.testing.menu import Index, damage


@damage("CF301", "CF501")
def directory_removed(index: Index, random: np.random.Generator) -> None:
    """The segment directory is deleted after a purge."""
    shutil.rmtree(index.directory)


@damage("CF302")
def header_removed(index: Index, random: np.random.Generator) -> None:
    """header.bin is deleted."""
    index.path(layout.HEADER_FILE).unlink()


@damage("CF302")
def link_lists_removed(index: Index, random: np.random.Generator) -> None:
    """link_lists.bin is deleted."""
    index.path(layout.LINKS_FILE).unlink()


@damage("CF302")
def lengths_removed(index: Index, random: np.random.Generator) -> None:
    """length.bin is deleted."""
    index.path(layout.LENGTH_FILE).unlink()


@damage("CF302", "CF501")
def level0_removed(index: Index, random: np.random.Generator) -> None:
    """data_level0.bin is deleted."""
    index.path(layout.LEVEL0_FILE).unlink()


@damage("CF303")
def header_halved(index: Index, random: np.random.Generator) -> None:
    """header.bin keeps its first 50 bytes."""
    os.truncate(index.path(layout.HEADER_FILE), 50)


@damage("CF303")
def header_zeroed(index: Index, random: np.random.Generator) -> None:
    """Every byte of header.bin is 0."""
    index.path(layout.HEADER_FILE).write_bytes(bytes(layout.HEADER.itemsize))


@damage("CF303")
def header_bit_flipped(index: Index, random: np.random.Generator) -> None:
    """One bit of the element size in header.bin is flipped."""
    index.edit_header(
        size_data_per_element=index.header.size_data_per_element ^ (1 << int(random.integers(16)))
    )


@damage("CF303")
def header_counts_too_few(index: Index, random: np.random.Generator) -> None:
    """header.bin counts ten elements too few."""
    index.edit_header(cur_element_count=index.header.cur_element_count - 10)


@damage("CF303")
def header_counts_too_many(index: Index, random: np.random.Generator) -> None:
    """header.bin counts a hundred elements more than were ever added."""
    count = index.header.cur_element_count + 100
    index.edit_header(cur_element_count=count, max_elements=2 * count)


@damage("CF304", "CF501")
def level0_halved(index: Index, random: np.random.Generator) -> None:
    """data_level0.bin loses the second half of its elements."""
    half = index.header.cur_element_count // 2 * index.header.size_data_per_element
    os.truncate(index.path(layout.LEVEL0_FILE), half)


@damage("CF305")
def lengths_emptied(index: Index, random: np.random.Generator) -> None:
    """length.bin is truncated to nothing."""
    os.truncate(index.path(layout.LENGTH_FILE), 0)


@damage("CF306")
def link_lists_emptied(index: Index, random: np.random.Generator) -> None:
    """link_lists.bin is truncated to nothing."""
    os.truncate(index.path(layout.LINKS_FILE), 0)


@damage("CF306")
def link_list_size_torn(index: Index, random: np.random.Generator) -> None:
    """One size field of link_lists.bin is not a whole number of lists."""
    with open(index.path(layout.LINKS_FILE), "r+b") as file:
        file.write((7).to_bytes(4, "little"))


@damage("CF307")
def link_lists_bloated(index: Index, random: np.random.Generator) -> None:
    """link_lists.bin has a hole of 4 GiB behind its last list."""
    os.truncate(index.path(layout.LINKS_FILE), 4 << 30)


@damage("CF308", "CF501")
def capacity_frozen(index: Index, random: np.random.Generator) -> None:
    """The index is full to its last slot, ten records are not in it, and many writes wait."""
    index.flag(index.unmap(index.some_ids(random, 10)))
    index.edit_header(max_elements=index.header.cur_element_count)
    with index.sql() as database:
        sql = "UPDATE collections SET {0} = replace({0}, '\"sync_threshold\":125', '\"sync_threshold\":20')"
        for column in ("schema_str", "config_json_str"):
            database.execute(sql.format(column))


@damage("CF310")
def counter_run_away(index: Index, random: np.random.Generator) -> None:
    """total_elements_added is a hundred thousand too high."""
    with index.id_map() as state:
        state["total_elements_added"] += 100_000


@damage("CF311")
def link_lists_appended_to(index: Index, random: np.random.Generator) -> None:
    """Ten random bytes stand behind the last list of link_lists.bin."""
    with open(index.path(layout.LINKS_FILE), "ab") as file:
        file.write(random.bytes(10))


@damage("CF312")
def norms_broken(index: Index, random: np.random.Generator) -> None:
    """Three norms in length.bin are NaN, negative and 0."""
    norms = np.fromfile(index.path(layout.LENGTH_FILE), dtype="<f4")
    norms[[3, 5, 8]] = np.nan, -1.0, 0.0
    norms.tofile(index.path(layout.LENGTH_FILE))
