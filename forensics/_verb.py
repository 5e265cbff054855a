"""Lets a module be called as the verb of the same name: `fx.report(...)` and `fx.verify(...)` stay functions.

Python binds a submodule over the package's attribute of the same name as soon as it is imported.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        verbs = importlib.import_module("forensics.verbs")
        return getattr(verbs, self.__name__.rpartition(".")[2])(*args, **kwargs)


def make_callable(module_name: str) -> None:
    """Afterwards, calling that module calls the verb of its name."""
    sys.modules[module_name].__class__ = _Verb
