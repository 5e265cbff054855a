"""Which ids are malformed, and what is left of them."""

from __future__ import annotations

import unicodedata

INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff")
"""Zero-width characters: they cannot be seen, and no one types them."""


def trimmed(name: str) -> str:
    """The id without white space and invisible characters around it, and without control or zero-width ones
    in it.
    """
    inner = "".join(
        letter for letter in name if letter not in INVISIBLE and unicodedata.category(letter) != "Cc"
    )
    return inner.strip()


def is_malformed(name: str) -> bool:
    """True for an id that is empty, or has white space around it, or control or zero-width characters."""
    return not name or trimmed(name) != name
