"""Native code runs in children: a panic, a segfault or a hang there is a result with its message and signal.

A child is a fresh Python (spawned, never forked), gets JSON and arrays in a folder, inherits no file of ours,
and is killed with all that it started when its time is over.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forensics.errors import ChildFailed

HERE = Path(__file__).parent
QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "CHROMA_OTEL_COLLECTION_ENDPOINT": "",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
TEXT = 2000
"""Characters of a child's last words that are kept."""


@contextmanager
def work_folder(parent: Path | None = None) -> Generator[Path]:
    """A private folder (mode 0700) that is gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix="forensics-child-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_child(
    module: str,
    request: Mapping[str, Any],
    *,
    timeout: float,
    memory: int | None = None,
    file_size: int | None = None,
    python: Path | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """What `run(request, folder)` of the script behind `module` (forensics.engine.…) returned in a child.

    The script is run by its path, so `python` may be any interpreter. `timeout` in seconds, `memory` (address
    space) and `file_size` (largest file it may write) in bytes. Arrays travel as .npy files in `folder`,
    which stays with its owner. Raises ChildFailed, with the signal where one killed it, for anything but a
    returned value.
    """
    if folder is None:
        with work_folder() as own:
            return run_child(
                module,
                request,
                timeout=timeout,
                memory=memory,
                file_size=file_size,
                python=python,
                folder=own,
            )
    (folder / "answer.json").unlink(missing_ok=True)
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    script = HERE / f"{module.rsplit('.', 1)[-1]}.py"
    command = [str(python or sys.executable), "-P", str(HERE / "bootstrap.py"), str(script), str(folder)]
    status = _run(
        [*command, str(memory or 0), str(file_size or 0)], folder, timeout, foreign=python is not None
    )
    return _result(status, folder, timeout)


def _run(command: list[str], folder: Path, timeout: float, *, foreign: bool) -> int | None:
    """The exit status (negative: signal), or None where the time was over."""
    with open(folder / "output.txt", "wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(foreign),
            start_new_session=True,
            cwd=folder,
        )
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """The child and whatever it started are dead."""
    if hasattr(os, "killpg") and child.returncode is None:
        os.killpg(child.pid, signal.SIGKILL)
    elif child.returncode is None:
        child.kill()
    child.wait()


def _environment(foreign: bool) -> dict[str, str]:
    """Ours, without telemetry; another release's Python gets none of our import paths."""
    paths = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV") if foreign else ()
    return {name: value for name, value in os.environ.items() if name not in paths} | QUIET


def _result(status: int | None, folder: Path, timeout: float) -> dict[str, Any]:
    if status is None:
        raise ChildFailed(f"no answer within {timeout:g} s; it was stopped")
    if status < 0:
        raise ChildFailed(f"died of {signal_name(-status)}{_last_words(folder)}", -status)
    try:
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChildFailed(f"ended with status {status} and no answer{_last_words(folder)}") from None
    if not answer["ok"]:
        error = answer["error"]
        raise ChildFailed(f"{error['type']}: {error['text'][:TEXT]}")
    return answer["result"]


def signal_name(number: int) -> str:
    """SIGSEGV for 11, and so on; the number itself where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(folder: Path) -> str:
    """The last lines that the child printed, after a colon; empty where it printed nothing."""
    text = (folder / "output.txt").read_bytes()[-TEXT:].decode("utf-8", "replace").strip()
    return f": {' | '.join(text.splitlines()[-3:])}" if text else ""
