"""Compiled templates, kept where Python keeps compiled modules, and only where it keeps those.

Compiling the templates takes longer than rendering a report. Jinja2 itself compares each with the hash of its source
before it is used.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import resources
from importlib.util import cache_from_source
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache


class BesideModules(BytecodeCache):
    """One file for each template of this package, in its `__pycache__` (or under PYTHONPYCACHEPREFIX)."""

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError), open(_place(bucket), "rb") as handle:
            bucket.load_bytecode(handle)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        place = _place(bucket)
        partial = place.with_name(f"{place.name}.{os.getpid()}")
        with suppress(OSError):  # as for modules: a folder that cannot be written to costs time, no more
            place.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(bucket.bytecode_to_string())
            partial.replace(place)


def _place(bucket: Bucket) -> Path:
    """The options decide what a template is compiled to, so they are part of the name."""
    jinja = bucket.environment
    options = (jinja.autoescape, jinja.trim_blocks, jinja.lstrip_blocks, jinja.keep_trailing_newline)
    folder = str(resources.files("forensics.report"))
    name = f"template-{bucket.key}-{''.join(str(int(bool(option))) for option in options)}.py"
    return Path(cache_from_source(os.path.join(folder, name)))
