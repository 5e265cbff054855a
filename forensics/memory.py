"""How much memory this process may still take, as the system says it: by what is free, and by its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "inactive_file"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
"""Limit, use, and what of the use is cache that can be given back: cgroup v2, then v1."""


def available_memory() -> int | None:
    """Bytes that may be taken without swapping; None where the system does not say."""
    found = [each for each in (_of_system(), _of_container(), _of_process()) if each is not None]
    return max(0, min(found)) if found else None


def _of_system() -> int | None:
    return _field(Path("/proc/meminfo"), "MemAvailable:", 1024)


def _of_container() -> int | None:
    return min(_left_in_cgroups(), default=None)


def _left_in_cgroups() -> Iterator[int]:
    for limit, use, cache in CGROUPS:
        most, taken = _number(Path(limit)), _number(Path(use))
        if most is not None and taken is not None and most < 1 << 60:
            yield most - taken + (_field(Path(use).with_name("memory.stat"), cache, 1) or 0)


def _of_process() -> int | None:
    """What RLIMIT_DATA and RLIMIT_AS leave."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return None
    status = Path("/proc/self/status")
    limits = ((resource.RLIMIT_DATA, "VmData:"), (resource.RLIMIT_AS, "VmSize:"))
    soft = [(resource.getrlimit(kind)[0], _field(status, name, 1024)) for kind, name in limits]
    return min((most - (taken or 0) for most, taken in soft if most != resource.RLIM_INFINITY), default=None)


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _field(path: Path, name: str, unit: int) -> int | None:
    lines = (line.split() for line in _text(path).splitlines())
    return next((int(words[1]) * unit for words in lines if words and words[0] == name), None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
