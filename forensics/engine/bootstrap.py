"""First code in every child: takes its limits, runs one script, writes one answer. Knows nothing of this
package.

Usage: python -P bootstrap.py SCRIPT FOLDER MEMORY FILE_SIZE. SCRIPT defines `run(request, folder) -> dict`;
the request is FOLDER/request.json, the answer FOLDER/answer.json. A limit of 0 bytes is none. Runs under any
Python from 3.8 on.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def limit(memory: int, file_size: int) -> None:
    """Address space, size of a written file and core dumps are limited; the child dies with its parent
    (Linux).
    """
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answer(folder: str, script: str) -> dict[str, Any]:
    """What the script's `run` returned, or what it raised; PanicException is a BaseException and counts."""
    with open(os.path.join(folder, "request.json"), encoding="utf-8") as handle:
        request = json.load(handle)
    try:
        return {"ok": True, "result": runpy.run_path(script)["run"](request, folder)}
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is this child's result
        return {"ok": False, "error": {"type": type(error).__name__, "text": str(error)}}


def main() -> None:
    script, folder, memory, file_size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    limit(memory, file_size)
    found = answer(folder, script)
    draft = os.path.join(folder, "answer.json.new")
    with open(draft, "w", encoding="utf-8") as handle:
        json.dump(found, handle)
    os.replace(draft, os.path.join(folder, "answer.json"))
    sys.stdout.flush()
    os._exit(0)  # no destructor of a damaged index may turn the answer into a crash


if __name__ == "__main__":
    main()
