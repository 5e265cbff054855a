"""Damages of the four binary files of a segment."""

from __future__ import annotations

import os
import shutil

import numpy as np

from forensics.readers import layout
from forensics.testing.index import Index, index_damage


@index_damage("directory-removed", "CF301", "CF501")
def directory_removed(index: Index, random: np.random.Generator) -> None:
    """The segment directory is deleted after a purge."""
    shutil.rmtree(index.directory)


@index_damage("header-element-size-flipped", "CF303")
def header_element_size_flipped(index: Index, random: np.random.Generator) -> None:
    """One bit of the element size in header.bin is flipped."""
    index.edit_header(
        size_data_per_element=index.header.size_data_per_element ^ (1 << int(random.integers(16)))
    )


@index_damage("header-counts-too-few", "CF303")
def header_counts_too_few(index: Index, random: np.random.Generator) -> None:
    """header.bin counts ten elements too few."""
    index.edit_header(cur_element_count=index.header.cur_element_count - 10)


@index_damage("header-counts-too-many", "CF303")
def header_counts_too_many(index: Index, random: np.random.Generator) -> None:
    """header.bin counts a hundred elements more than were ever added."""
    count = index.header.cur_element_count + 100
    index.edit_header(cur_element_count=count, max_elements=2 * count)


@index_damage("link-list-size-torn", "CF306")
def link_list_size_torn(index: Index, random: np.random.Generator) -> None:
    """One size field of link_lists.bin is not a whole number of lists."""
    with open(index.path(layout.LINKS_FILE), "r+b") as file:
        file.write((7).to_bytes(4, "little"))


@index_damage("link-lists-bloated", "CF307")
def link_lists_bloated(index: Index, random: np.random.Generator) -> None:
    """link_lists.bin has a hole of 4 GiB behind its last list."""
    os.truncate(index.path(layout.LINKS_FILE), 4 << 30)


@index_damage("capacity-frozen", "CF308", "CF501")
def capacity_frozen(index: Index, random: np.random.Generator) -> None:
    """The index is full to its last slot, ten records are not in it, and many writes wait."""
    index.flag(index.unmap(index.some_ids(random, 10)))
    index.edit_header(max_elements=index.header.cur_element_count)
    with index.sql() as database:
        sql = "UPDATE collections SET {0} = replace({0}, '\"sync_threshold\":125', '\"sync_threshold\":20')"
        for column in ("schema_str", "config_json_str"):
            database.execute(sql.format(column))


@index_damage("counter-run-away", "CF310")
def counter_run_away(index: Index, random: np.random.Generator) -> None:
    """total_elements_added is a hundred thousand too high."""
    with index.id_map() as state:
        state["total_elements_added"] += 100_000


@index_damage("norms-broken", "CF312")
def norms_broken(index: Index, random: np.random.Generator) -> None:
    """Three norms in length.bin are NaN, negative and 0."""
    norms = np.fromfile(index.path(layout.LENGTH_FILE), dtype="<f4")
    norms[[3, 5, 8]] = np.nan, -1.0, 0.0
    norms.tofile(index.path(layout.LENGTH_FILE))
