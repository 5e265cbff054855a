"""Work on one file in a child process, so that this process never opens nor closes it (see `handles`).

Run as `python -P -m forensics.outside MODULE FUNCTION ARGUMENT…`; the answer is JSON on stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from forensics.errors import ChildFailed
from forensics.model import Json


def in_child(module: str, function: str, *arguments: str) -> Json:
    """What that function of `forensics.<module>` returns, called in a child; its OSError is raised here."""
    command = [sys.executable, "-P", "-m", "forensics.outside", module, function, *arguments]
    done = subprocess.run(command, capture_output=True, env=child_environment(), check=False)
    what = f"The child process that ran {module}.{function} on {arguments[0]}"
    if done.returncode < 0:
        raise ChildFailed(f"{what} died of signal {-done.returncode}.", -done.returncode)
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise ChildFailed(f"{what} failed: {' '.join(last)}") from error
    if "errno" in answer:
        raise OSError(answer["errno"], answer["strerror"], arguments[0])
    return answer["value"]


def child_environment() -> dict[str, str]:
    """This environment, with the folder of this package on the path (a child with -P sees no other)."""
    home = str(Path(__file__).resolve().parents[1])
    given = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, given] if given else [home])}


def main(words: list[str]) -> None:
    """Runs one function and writes what it returned, or its OSError."""
    module, function, *arguments = words
    try:
        answer = {"value": getattr(importlib.import_module(f"forensics.{module}"), function)(*arguments)}
    except OSError as error:
        answer = {"errno": error.errno or 5, "strerror": error.strerror or str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
