"""What each release will return, raise or destroy when it is let onto a store: told from the files, without an engine."""

from __future__ import annotations

from forensics._verb import make_callable

make_callable(__name__)
