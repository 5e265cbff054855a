"""Making millions of small objects at once without the cyclic collector looking at all of them again and again."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Generator[None]:
    """Inside, nothing is collected; afterwards the collector is as it was. For rows and maps, which hold no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


RARELY = 100_000
"""New objects after which the collector looks for garbage."""


@contextmanager
def collector_seldom() -> Generator[None]:
    """Inside, the collector comes more rarely: what was read is no garbage, and it would walk over it again and again."""
    often = gc.get_threshold()
    if often[0]:  # 0: somebody switched it off
        gc.set_threshold(max(often[0], RARELY), *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)
