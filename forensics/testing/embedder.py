"""A deterministic embedder: feature hashing of character n-grams, the same bits on every machine.

Every n-gram adds four weights in [-1, 1) to four of the dimensions; which ones, and how much, is read from
its BLAKE2b digest. Sums are exact in float64 (all weights are multiples of 2**-26), then divided once by the
square root of the number of n-grams. The result is *not* normalised: norms lie around 1 and differ from text
to text, so that a cosine index really stores something else than what was given.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DIMENSION = 32
NGRAM_LENGTHS = (3, 4)
WEIGHTS_PER_NGRAM = 4


def embed(texts: list[str]) -> NDArray[np.float32]:
    """Vectors of shape (len(texts), 32), float32, C-contiguous; an empty text gives the zero vector."""
    vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = _vector(text)
    return vectors


def ngrams(text: str) -> list[str]:
    """The 3- and 4-grams of the lower-cased text with a blank at each end; white space runs count as one."""
    padded = f" {' '.join(text.lower().split())} "
    return [padded[i : i + n] for n in NGRAM_LENGTHS for i in range(len(padded) - n + 1)]


def _vector(text: str) -> NDArray[np.float64]:
    grams = ngrams(text)
    if not grams:
        return np.zeros(DIMENSION)
    words = np.concatenate([_words(gram) for gram in grams])
    # the low 5 bits choose the dimension, the other 27 are the weight
    weights = (words >> 5).astype(np.float64) / 2.0**26 - 1.0
    return np.bincount(words & 31, weights=weights, minlength=DIMENSION) / np.sqrt(len(grams))


@lru_cache(maxsize=65536)
def _words(gram: str) -> NDArray[np.uint32]:
    digest = hashlib.blake2b(
        gram.encode("utf-8", "surrogatepass"), digest_size=4 * WEIGHTS_PER_NGRAM
    ).digest()
    return np.frombuffer(digest, dtype="<u4")


def embed_backwards(texts: list[str]) -> NDArray[np.float32]:
    """Another embedder of the same dimension: it reproduces no vector that `embed` made."""
    return np.ascontiguousarray(embed(texts)[:, ::-1])
