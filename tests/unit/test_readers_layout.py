"""The layout says what real files are made of."""

from __future__ import annotations

import numpy as np
import pytest

from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles


@pytest.mark.parametrize("name", ["0.4.24/healthy", "0.6.3/healthy", "1.0.20/healthy", "1.5.9/healthy"])
def test_header_of_every_release_survives_a_round_trip(sample, name):
    store = sample(name)
    path = next(store.glob("*/header.bin"))

    header = layout.Header.from_bytes(path.read_bytes())

    assert header.to_bytes() == path.read_bytes()
    assert header.problems() == ()


def test_expected_sizes_are_those_of_a_real_index(sample):
    files = HnswFiles(next(sample("1.5.9/healthy").glob("*/header.bin")).parent)
    header = files.header

    sizes = layout.expected_sizes(header.cur_element_count, header.dim, header.M)

    assert sizes.level0 == header.cur_element_count * header.size_data_per_element
    assert sizes.length == 4 * header.cur_element_count
    assert sizes.link_lists_low <= files.links.end <= sizes.link_lists_high


def test_the_listing_of_the_user_is_a_complete_index_with_m_16():
    """57 GB, 78 MB, 37 MB and 100 bytes for 9,570,043 records of 1,536 dimensions, in the units of `du -h`."""
    sizes = layout.expected_sizes(9_570_043, 1_536, 16)

    assert sizes.header == 100
    assert round(sizes.level0 / 2**30) == 56
    assert round(sizes.length / 2**20, 1) == 36.5
    assert sizes.link_lists_low / 2**20 < 78 < sizes.link_lists_high / 2**20 + 1


def test_a_header_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="exactly 100"):
        layout.Header.from_bytes(b"\0" * 99)


def test_labels_flags_and_vectors_are_where_the_layout_says(sample):
    files = HnswFiles(next(sample("1.5.9/healthy").glob("*/header.bin")).parent)

    assert sorted(files.summary.labels) == list(range(1, files.elements + 1))
    assert not files.summary.deleted.any()
    assert files.vectors(np.array([0])).shape == (1, files.header.dim)
