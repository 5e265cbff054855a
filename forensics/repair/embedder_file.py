"""The file of the user's embedder: found by name or by path, written into the plan, and loaded from there again.

A plan may be carried out from another working directory, days later: what it embeds with is the file that was tried
when it was made, or nothing.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from forensics.errors import UsageError

CONFIGURED = "configured"
"""The name that stands for the embedding function of each collection's own configuration."""


@dataclass(frozen=True, slots=True)
class EmbedderFile:
    """Where the module of an embedder was found, absolute, and the SHA-256 of that file in hex."""

    path: str
    sha256: str


def split_name(name: str) -> tuple[str, str]:
    """(module or path of a .py file, attribute). Raises UsageError for anything else."""
    module, colon, attribute = name.rpartition(":")
    right = attribute and all(part.isidentifier() for part in attribute.split("."))
    if not colon or not module or not right or not (_is_path(module) or _is_module(module)):
        raise UsageError(
            f"An embedder is named as module:callable or as path/to/file.py:callable, not {name!r}."
        )
    return module, attribute


def _is_path(module: str) -> bool:
    return module.endswith(".py")


def _is_module(module: str) -> bool:
    return all(part.isidentifier() for part in module.split("."))


def load(name: str, known: EmbedderFile | None = None) -> tuple[Callable[..., Any], EmbedderFile | None]:
    """(the callable of that name, its file; None where its module has none).

    `known` is what a plan wrote down: the callable comes from that very file. Raises UsageError, in one sentence, where
    it cannot be had.
    """
    module, attribute = split_name(name)
    if known is not None:
        _must_be_there(name, known)
    loaded = _loaded(name, module, known)
    try:
        function = reduce(getattr, attribute.split("."), loaded)
    except AttributeError as error:
        raise UsageError(f"The embedder {name!r} cannot be loaded: {module} has no {attribute!r}.") from error
    if not callable(function):
        raise UsageError(f"The embedder {name!r} is not callable: it is of type {type(function).__name__}.")
    return function, _file(loaded)


def _must_be_there(name: str, known: EmbedderFile) -> None:
    """Raises UsageError where the file is gone or changed."""
    again = "plan again with `forensics plan STORE --embedder …`"
    try:
        now = _digest(known.path)
    except OSError as error:
        why = f"{known.path}, where the plan found it, cannot be read ({error.strerror})"
        raise UsageError(
            f"The embedder {name!r} cannot be loaded: {why}; bring it back, or {again}."
        ) from error
    if now != known.sha256:
        raise UsageError(
            f"The embedder {name!r} is not the one of the plan: {known.path} was changed since (its SHA-256 begins with"
            f" {now[:12]}, not {known.sha256[:12]}); {again}."
        )


def _loaded(name: str, module: str, known: EmbedderFile | None) -> ModuleType:
    try:
        if known is not None:
            return _from_known(module, Path(known.path))
        return _from_path(Path(module)) if _is_path(module) else _by_name(module)
    except (Exception, SystemExit) as error:
        raise UsageError(f"The embedder {name!r} cannot be loaded: {_why(module, error)}.") from error


def _why(module: str, error: BaseException) -> str:
    """The reason in the words of who typed the name."""
    if isinstance(error, ModuleNotFoundError) and error.name and module.startswith(error.name):
        return f"there is no module {module}, neither in {os.getcwd()} nor installed"
    if (
        isinstance(error, FileNotFoundError)
        and _is_path(module)
        and error.filename == os.path.realpath(module)
    ):
        return f"there is no file {module}"
    told = " ".join(str(error).split())
    return f"importing it raised {type(error).__name__}{': ' + told.rstrip('.') if told else ''}"


def _by_name(module: str) -> ModuleType:
    """An embedder may be a module of the working directory, whose name an installed program does not look for."""
    _also_look_in(Path.cwd())
    return importlib.import_module(module)


def _from_known(module: str, path: Path) -> ModuleType:
    if _is_path(module):
        return _from_path(path)
    parts = module.split(".")
    up = len(parts) + (path.name == "__init__.py")
    _also_look_in(path.parents[up - 1])
    found = importlib.import_module(module) if len(parts) > 1 or _leads_to(module, path) else _from_path(path)
    if os.path.realpath(found.__file__ or "") != str(path):
        raise ImportError(f"the name {module} leads to {found.__file__} now, and the plan had it from {path}")
    return found


def _leads_to(module: str, path: Path) -> bool:
    """True where the name alone finds that file."""
    spec = importlib.util.find_spec(module)
    return spec is not None and os.path.realpath(spec.origin or "") == str(path)


def _from_path(path: Path) -> ModuleType:
    """The module of that file, under a name that no other has; its neighbours can be imported by it."""
    full = Path(os.path.realpath(path))
    name = f"{full.stem}_{hashlib.sha256(os.fsencode(full) + full.read_bytes()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, full)
    if spec is None or spec.loader is None:
        raise ImportError(f"{full} is no Python module")
    _also_look_in(full.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _also_look_in(folder: Path) -> None:
    """Imports find modules there, after all others."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _file(module: ModuleType) -> EmbedderFile | None:
    found = getattr(module, "__file__", None)
    if not found:
        return None
    path = os.path.realpath(found)
    try:
        return EmbedderFile(path, _digest(path))
    except OSError:  # in an archive; it is found by its name alone
        return None


def _digest(path: str) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
