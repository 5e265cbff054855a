"""Owner, group, mode, ACLs, extended attributes and mtime of one file or directory, taken on by another."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def take_on(source: Path, target: Path, *, mtime: bool = True) -> tuple[str, ...]:
    """`target` gets what `source` has; neither is a link. Returns what the system did not permit, in words."""
    facts = os.stat(source, follow_symlinks=False)
    lacking = [*_owner(facts, target), *_extended(source, target), *_mode(facts, target)]
    if mtime:
        os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return tuple(lacking)


def _owner(wanted: os.stat_result, target: Path) -> Iterator[str]:
    have = os.stat(target, follow_symlinks=False)
    if not hasattr(os, "chown") or (have.st_uid, have.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    try:
        os.chown(target, wanted.st_uid, wanted.st_gid, follow_symlinks=False)
    except PermissionError:
        yield f"owner {wanted.st_uid}:{wanted.st_gid}"


def _mode(wanted: os.stat_result, target: Path) -> Iterator[str]:
    """After owner and ACL: a change of owner clears set-id bits, an ACL changes the group bits."""
    mode = stat.S_IMODE(wanted.st_mode)
    if stat.S_IMODE(os.stat(target).st_mode) == mode:
        return
    try:
        os.chmod(target, mode)
    except PermissionError:
        yield f"mode {mode:04o}"


def _extended(source: Path, target: Path) -> Iterator[str]:
    """ACLs are extended attributes (system.posix_acl_*); what `source` does not have is removed as well."""
    wanted, have = extended_attributes(source), extended_attributes(target)
    for name in sorted({*wanted, *have}):
        if wanted.get(name) == have.get(name):
            continue
        try:
            if name in wanted:
                os.setxattr(target, name, wanted[name], follow_symlinks=False)
            else:
                os.removexattr(target, name, follow_symlinks=False)
        except OSError:
            yield f"extended attribute {name}"


def extended_attributes(path: Path) -> dict[str, bytes]:
    """Every extended attribute that this process may see; empty where the system or file system has none."""
    if not hasattr(os, "listxattr"):
        return {}
    found: dict[str, bytes] = {}
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    for name in names:
        try:
            found[name] = os.getxattr(path, name, follow_symlinks=False)
        except OSError:  # removed meanwhile, or not for us to read
            continue
    return found
