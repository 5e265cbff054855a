"""The codes that no damaged file shows: a process, a full disk, an embedder, a check that raises."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import forensics as fx
from forensics import samples
from forensics.checks import load_checks
from forensics.checks.registry import CHECKS
from forensics.testing.damage import HEALTHY, damage_menu
from forensics.testing.damage_folder import segment_of
from forensics.testing.failing_disk import failing_disk, lacking
from forensics.testing.showing import EMBEDDER

Codes = tuple[str, ...]
Way = Callable[[Path], Codes]
HOLD = "import sys; file = open(sys.argv[1], 'r+b'); print('open', flush=True); sys.stdin.read()"
"""A program that keeps a file open for writing until its input ends."""

NOTES = {"CF210": "0.5.23/healthy", "CF309": "0.4.24-one-record", "CF502": "0.5.23/healthy"}
"""Notes of healthy stores, and one that shows each: a sample, or one of those that are kept."""


@contextmanager
def held(path: Path) -> Generator[None]:
    """Another process has the file open for writing."""
    words = [sys.executable, "-P", "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield
        finally:
            child.communicate("")


def in_use(store: Path) -> Codes:
    """Another process has data_level0.bin open."""
    with held(store / segment_of(store) / "data_level0.bin"):
        return fx.diagnose(store).codes()


def deleted_but_open(store: Path) -> Codes:
    """Another process has data_level0.bin open, and its directory is deleted."""
    with held(store / segment_of(store) / "data_level0.bin"):
        shutil.rmtree(store / segment_of(store))
        return fx.diagnose(store).codes()


def full_disk(store: Path) -> Codes:
    """The store, without its id map, stands on a tmpfs with no room for a draft. Needs root."""
    disk = store.with_name("disk")
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    subprocess.run(mounted, check=True, capture_output=True)
    try:
        samples.restore(HEALTHY, disk / "store")
        damage_menu()["directory-removed"](disk / "store")
        return fx.plan(disk / "store", embedder=EMBEDDER, engine="none").remaining
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def raising(store: Path) -> Codes:
    """The check of CF604 raises; the others run on."""
    load_checks()
    kept = CHECKS["CF604"]
    CHECKS["CF604"] = dataclasses.replace(kept, function=_raise)
    try:
        return fx.diagnose(store).codes()
    finally:
        CHECKS["CF604"] = kept


def _raise(view: object) -> NoReturn:
    raise ArithmeticError("as a check does that nobody has tried on such a store")


def strange_embedder(store: Path) -> Codes:
    """The embedder that is given reproduces no vector of the store: what it was to be asked is skipped."""
    return fx.diagnose(store, embedder="forensics.testing.embedder:embed_backwards").codes()


def unreadable(store: Path) -> Codes:
    """The store stands on a disk from which data_level0.bin cannot be read. Needs root and a loop device."""
    with failing_disk(store, "*/data_level0.bin", store.parent) as copy:
        words = ["-P", "-m", "forensics", "diagnose", str(copy), "--format", "json"]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    return tuple(finding["code"] for finding in json.loads(done.stdout)["findings"])


WAYS: dict[str, Way] = {
    "CF005": in_use,
    "CF009": full_disk,
    "CF012": deleted_but_open,
    "CF901": raising,
    "CF902": strange_embedder,
    "CF903": unreadable,
}


def possible(code: str) -> str:
    """Why the code cannot be shown on this machine, or nothing."""
    if code in ("CF005", "CF012") and sys.platform != "linux":
        return "who has a file open is seen in /proc only"
    if code == "CF009" and (sys.platform != "linux" or os.geteuid() != 0):
        return "only root can mount a small disk"
    if code == "CF903" and (why := lacking()):
        return f"a disk that fails needs {why}"
    return ""
