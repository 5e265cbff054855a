"""A diagnosis made by a child: a file that is cut short under a memory map kills who reads it, and a kernel holds work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.absent import Absent
from forensics.errors import CannotComplete
from forensics.lab.recalled import diagnosis_from_json
from forensics.outside import child_environment
from forensics.seal import open_handles

if TYPE_CHECKING:
    from forensics.model import Diagnosis

PROGRAM = (sys.executable, "-P", "-m", "forensics")


def is_shared(store: Path) -> bool:
    """True where another process has files of the store open, as far as the system shows it."""
    handles = open_handles(store)
    return not isinstance(handles, Absent) and bool(handles.others)


def diagnosed_apart(store: Path, case: Path | None) -> Diagnosis:
    """What a child found; kept in `case` where one is given. Raises CannotComplete where it died or found nothing."""
    kept = [] if case is None else ["--case", os.fspath(case)]
    command = [*PROGRAM, "diagnose", os.fspath(store), "--format", "json", *kept]
    done = subprocess.run(command, capture_output=True, env=child_environment(), check=False)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise CannotComplete(
            f"The process that read the store died of {name}: the store is in use, and a file was cut short while it "
            "was read. Stop who uses it and try again; nothing was changed."
        )
    answer = json.loads(done.stdout)
    if "findings" not in answer:
        raise CannotComplete(str(answer.get("error", "The store could not be diagnosed.")))
    return diagnosis_from_json(answer)
