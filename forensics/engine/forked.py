"""Many lists of operations, each in a process of its own, from one interpreter that has chromadb loaded already.

Run by `forensics/engine/bootstrap.py` under the Python of any release; knows nothing of this package. To import
chromadb costs more than what is asked, so it is imported once and every process is forked before a client exists.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import time
from typing import Any

STEP = 0.01
VECTORS = "chromadb.segment.impl.vector.local_persistent_hnsw"
"""What 0.6 and before name in no setting."""


def run(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """How the process of each of `request["asks"]` ended: its exit status, minus its signal, or None after `timeout` s.

    An ask is {"store", "operations", "folder", "first"}; its steps lie in its folder, as `session.py` leaves them.
    """
    session = runpy.run_path(request["session"])["run"]
    load_parts()
    return {"ends": [_forked(session, ask, request["timeout"]) for ask in request["asks"]]}


def load_parts() -> None:
    """Imports what a client imports when it is made: the parts that its settings name, and what those bring along.

    Nothing is made of them. A part that this release cannot import is left to the client that asks for it.
    """
    from chromadb.config import Settings

    settings = vars(Settings(is_persistent=True, anonymized_telemetry=False))
    named = {value.rpartition(".")[0] for value in settings.values() if isinstance(value, str)}
    for module in sorted(name for name in named | {VECTORS} if name.startswith("chromadb.")):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _forked(session: Any, ask: dict[str, Any], timeout: float) -> int | None:
    child = os.fork()
    if child == 0:
        _asked(session, ask)
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        time.sleep(STEP)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _asked(session: Any, ask: dict[str, Any]) -> None:
    """In the child: what the session does, then the end without any destructor."""
    try:
        session(ask, ask["folder"])
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is this child's result
        with open(os.path.join(ask["folder"], "failed.json"), "w", encoding="utf-8") as handle:
            json.dump({"type": type(error).__name__, "text": str(error)}, handle)
        os._exit(3)
    os._exit(0)
