"""How long the parts of a repair take, at rates measured once on one core of a common machine (2.5 GHz, chroma-hnswlib
0.7.6, gaussian vectors, M 16, ef_construction 100): 0.77 ms per insert at 384 dimensions, 0.20 ms at 64.
"""

from __future__ import annotations

INSERT, COMPONENT = 0.09e-3, 1.78e-6
"""Seconds of one insert at ef_construction 100, and of each of its components."""
BYTES_PER_SECOND = 150e6
"""Of a draft: copied, hashed, read back and synchronised."""


def seconds_for(inserts: int, dim: int, ef_construction: int, size: int) -> float:
    """Seconds for so many inserts or searches and bytes, to two digits; the same store always gives the same."""
    each = (INSERT + COMPONENT * dim) * max(ef_construction, 1) / 100
    return float(f"{inserts * each + size / BYTES_PER_SECOND:.2g}")
