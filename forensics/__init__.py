"""A file-system check for vector stores: read a Chroma store without trust, find what is wrong, repair a draft of it."""

from __future__ import annotations

__version__ = "0.1.0"
