"""What can happen to an engine process from outside: system calls that kill or fail, and pages lost with the power."""

from __future__ import annotations

import ctypes
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = 4096
CHANGES = "write,pwrite64,writev,pwritev,ftruncate,rename,unlink,openat"
PR_SET_PTRACER, PTRACER_ANY = 0x59616D61, ctypes.c_ulong(-1)
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")


def inject(path: Path, what: str, when: int, log: Path, *, lasting: bool = False) -> list[str]:
    """Options of strace: calls on `path` meet `what` (signal=SIGKILL, error=ENOSPC), the `when`-th of a kind in a thread."""
    calls = CHANGES if what.startswith("signal") else "write,pwrite64,writev,pwritev"
    when_text = f"{when}+" if lasting else str(when)
    rule = f"inject={calls}:{what}:when={when_text}"
    return ["-o", str(log), "-P", str(path), "-e", f"trace={calls}", "-e", rule]


def happened(log: Path) -> bool:
    """Whether a call met what `inject` had for it."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return "(INJECTED)" in text or "+++ killed by SIGKILL +++" in text


def recording(log: Path) -> list[str]:
    """Options of strace: writes and syncs are noted in `log`, with the paths of the descriptors."""
    calls = "write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync,sync,syncfs"
    return ["-y", "-s", "0", "-o", str(log), "-e", f"trace={calls}"]


def attach(process: int, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """strace on a process that is at work already, with all threads it will have; ends with it. Raises OSError.

    Importing chromadb below strace takes minutes: Python then maps and unmaps memory for every call of a deep function."""
    command = ["strace", "-f", "-qq", "-p", str(process), *options]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    status = Path(f"/proc/{process}/status")
    while "TracerPid:\t0\n" in status.read_text(encoding="ascii", errors="replace"):
        if tracer.poll() is not None and tracer.stderr:
            raise OSError(tracer.stderr.read().decode(errors="replace"))
        time.sleep(0.01)
    return tracer


def allow_attaching() -> None:
    """In the process to be watched: a kernel that lets only parents do that makes an exception (see prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, PTRACER_ANY, 0, 0, 0)


def unsynced_files(log: Path, store: Path) -> set[Path]:
    """Files of the store that were written and never synced in the recorded time."""
    written, synced = set[Path](), set[Path]()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        call, path = _read(line)
        if path is not None and path.is_relative_to(store):
            (synced if "sync" in call else written).add(path)
    return written - synced


def _read(line: str) -> tuple[str, Path | None]:
    _, _, rest = line.partition(" ")
    call, _, arguments = rest.strip().partition("(")
    named = _DESCRIPTOR.match(arguments)
    return call, Path(named[1]) if named else None


def drop_unsynced(store: Path, before: Path, files: Iterable[Path], chance: random.Random) -> int:
    """Gives some of the changed pages of these files their old content back; the number of pages.

    A page that did not exist before becomes zeros; with even odds the file has its old length again."""
    lost = 0
    for file in sorted(files):
        old = before / file.relative_to(store)
        if file.exists():
            lost += _drop_pages(file, old.read_bytes() if old.exists() else b"", chance)
    return lost


def _drop_pages(file: Path, old: bytes, chance: random.Random) -> int:
    new = file.read_bytes()
    lost, content = 0, bytearray(new)
    for start in range(0, len(new), PAGE):
        page = new[start : start + PAGE]
        was = old[start : start + PAGE].ljust(len(page), b"\0")[: len(page)]
        if page != was and chance.random() < 0.5:
            content[start : start + len(page)] = was
            lost += 1
    if lost and len(old) < len(new) and chance.random() < 0.5:
        del content[len(old) :]
    file.write_bytes(bytes(content))
    return lost
