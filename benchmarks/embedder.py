"""Documents, and the vectors that stand for them: made from the text alone, fast, clustered as embeddings are.

It imports only numpy, so that a peer in an environment of its own can be given the very same embedder.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

import numpy as np

DIMENSION = 384
TOPICS = 1000


def document(i: int, words: int = 12) -> str:
    """The text of record `i`; no two are the same."""
    return " ".join([f"record {i:08d}:", *(f"word{(i * 7 + k * 13) % 5000}" for k in range(words))])


def embed(texts: list[str]) -> np.ndarray:
    """(len(texts), 384) float32: the centre of a topic and half as much noise, both chosen by a hash of the text."""
    found = np.empty((len(texts), DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        key = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")
        noise = np.random.Generator(np.random.Philox(key=key)).standard_normal(DIMENSION, dtype=np.float32)
        found[row] = _centres()[key % TOPICS] + 0.5 * noise
    return found


@cache
def _centres() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((TOPICS, DIMENSION), dtype=np.float32)
