"""How things are measured: CPU seconds and peak memory of a fresh process, start-up included.

Start-up is that of an installed package, whose modules are compiled: `compiled` sees to it, also where the environment
tells Python to keep no bytecode.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_IMPORT = """
import importlib, pkgutil, sys
import forensics
for found in pkgutil.walk_packages(forensics.__path__, "forensics."):
    if not found.name.endswith("__main__"):
        try:
            importlib.import_module(found.name)
        except Exception as error:
            print(f"not compiled: {found.name}: {error}", file=sys.stderr)
import chromadb, hnswlib
from forensics.report.render import environment
for name in environment().list_templates(extensions=["j2"]):
    environment().get_template(name)
"""


@contextmanager
def compiled() -> Generator[None]:
    """Inside, every process finds the bytecode of the modules that it imports, in a folder that is gone afterwards."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            python(_IMPORT)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds (user + system, children included), wall seconds and peak resident memory in MB."""

    cpu: float
    wall: float
    peak_mb: float
    status: int
    output: str

    def to_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "output"}


def run(
    command: Sequence[str], cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Cost:
    """Runs `command` to its end and tells what it cost."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=cwd, env=environment, text=True) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=time.perf_counter() - start,
        peak_mb=usage.ru_maxrss / 1024,
        status=process.returncode,
        output=output,
    )


def python(code: str, *arguments: str) -> Cost:
    """Runs a piece of Python in a fresh interpreter."""
    return run([sys.executable, "-P", "-c", code, *arguments])


def own_cpu() -> float:
    """CPU seconds of this process and of its finished children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def keep(name: str, figures: Mapping[str, object]) -> None:
    """Writes the figures of one benchmark, with their date, beside this file."""
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    dated = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "cores": os.cpu_count(), **figures}
    (folder / f"{name}.json").write_text(json.dumps(dated, indent=1) + "\n", encoding="utf-8")


def kept(name: str) -> dict[str, Any]:
    """The last figures of one benchmark; empty where there are none."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
