"""Makes the case that the golden tests of the report are about: a real repair of the sample peek-failure.

    python tests/unit/report_case/make.py

It needs chromadb, takes about two minutes, and writes the stages of the case beside itself. The clock and the
case id are fixed; everything else is what the tool found, did and measured.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import forensics as fx
from forensics import samples
from forensics.case import Case

HERE = Path(__file__).parent
ROOM = Path(tempfile.gettempdir()) / "chroma-forensics-report-case"
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STAGES = ("*.json", "*.jsonl", "evidence/CF*.csv")


def ticking() -> datetime:
    """Every look at the clock is one second after the one before."""
    return START + timedelta(seconds=next(_TICKS))


_TICKS = count()


def main() -> None:
    shutil.rmtree(ROOM, ignore_errors=True)
    store = samples.restore("1.2.1/peek-failure", ROOM / "store")
    case = Case.create(ROOM / "case", store, clock=ticking, case_id="demo")
    fx.diagnose(store, case=case)
    case.write_json("probe.json", fx.probe(store))
    case.log("probed")
    fx.plan(store, case=case, embedder="forensics.testing.embedder:embed")
    fx.apply(case, yes=True)
    for pattern in STAGES:
        for path in case.folder.glob(pattern):
            target = HERE / path.relative_to(case.folder)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(os.path.realpath(path), target)
    shutil.rmtree(ROOM)


if __name__ == "__main__":
    main()
