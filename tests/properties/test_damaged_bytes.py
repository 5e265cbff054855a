"""Whatever happens to the bytes of a store, an answer comes back: no check crashes, nothing is written."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forensics as fx
from forensics import samples
from forensics.errors import ForensicsError

SAMPLES = ("1.5.9/healthy", "0.6.3/healthy", "1.2.1/peek-failure")


@dataclass(frozen=True, slots=True)
class Damage:
    """One blow to one file; `at` and `length` are fractions of its size."""

    kind: str
    file: int
    at: float
    length: float
    byte: int

    def strike(self, store: Path) -> None:
        files = sorted(path for path in store.rglob("*") if path.is_file())
        path = files[self.file % len(files)]
        size = path.stat().st_size
        start = int(self.at * size)
        stop = min(size, start + 1 + int(self.length * 64))
        with path.open("r+b") as file:
            if self.kind == "cut":
                file.truncate(start)
            elif self.kind == "grow":
                file.truncate(size + 1 + start)
            else:
                file.seek(start)
                file.write(bytes([self.byte]) * (stop - start))
        if self.kind == "remove":
            path.unlink()


PART = st.floats(0, 1, exclude_max=True)
DAMAGES = st.lists(
    st.builds(
        Damage,
        kind=st.sampled_from(["overwrite", "overwrite", "cut", "grow", "remove"]),
        file=st.integers(0, 30),
        at=st.one_of(st.just(0.0), PART),
        length=PART,
        byte=st.sampled_from([0x00, 0x01, 0x7F, 0x80, 0xFF]),
    ),
    min_size=1,
    max_size=3,
)


def state(store: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in store.rglob("*")}


@pytest.fixture(scope="module", params=SAMPLES, ids=lambda name: name.replace("/", "-"))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.restore(request.param, tmp_path_factory.mktemp("whole") / "store")


def crashes(store: Path) -> list[tuple[str, str]]:
    """The checks that crashed; none where the answer is, in a sentence, that this is no store."""
    try:
        outcomes = fx.diagnose(store).checks
    except ForensicsError:
        return []
    return [(outcome.code, outcome.reason) for outcome in outcomes if outcome.outcome == "crashed"]


@settings(
    max_examples=int(os.environ.get("FORENSICS_FUZZ", "25")), suppress_health_check=[HealthCheck.too_slow]
)
@given(damages=DAMAGES)
def test_a_diagnosis_comes_back(whole: Path, damages: list[Damage]) -> None:
    store = whole.parent / "damaged"
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(whole, store)
    for damage in damages:
        damage.strike(store)
    before = state(store)
    crashed = crashes(store)
    assert not crashed, crashed
    assert state(store) == before
