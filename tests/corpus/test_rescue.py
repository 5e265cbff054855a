"""rescue: what a living chromadb alone still has of a deleted segment directory comes back, every vector of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics.engine.truth import expected_of
from forensics.errors import Refused, UsageError
from forensics.rescuing import copy_out, held_files

EMBEDDER = "forensics.testing.embedder:embed"


@contextmanager
def living(store: Path) -> Iterator[int]:
    """A chromadb that has the store open, by its process id; it has answered and lives on inside the block."""
    command = [sys.executable, "-P", "-m", "forensics.testing.engine_child", str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for call in ({"call": "open"}, {"call": "count", "collection": "terms"}):
            child.stdin.write(json.dumps(call) + "\n")
            child.stdin.flush()
            assert "value" in json.loads(child.stdout.readline())
        yield child.pid
        child.stdin.close()


def vectors_of(store: Path) -> dict[str, Any]:
    with fx.open_store(store) as opened:
        found = expected_of(opened)["terms"]
    ids = [found.ids[row] for row in found.rows.tolist()]
    return dict(zip(ids, found.vectors, strict=True))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds open is seen in /proc only")
def test_every_vector_of_a_deleted_directory_is_back(
    sample: Callable[[str], Path], say: Callable[..., Any], tmp_path: Path
) -> None:
    store, folder = sample("1.5.9/healthy"), tmp_path / "rescued"
    before = vectors_of(store)
    segment = next(path for path in store.iterdir() if path.is_dir())
    sizes = {path.name: path.stat().st_size for path in segment.iterdir()}
    with living(store) as pid:
        shutil.rmtree(segment)
        said = say("rescue", "--pid", pid, "--to", folder, "--embedder", EMBEDDER)
    assert said.status == 0
    assert said.err.startswith(f"forensics: Do not stop process {pid}")
    copied = {path.name: path.stat().st_size for path in (folder / segment.name).iterdir()}
    assert {name: copied[name] for name in sizes if name.endswith(".bin")} == {
        name: size for name, size in sizes.items() if name.endswith(".bin")
    }
    fx.plan(store, case=tmp_path / "case", also=[str(folder)], engine="none")
    result = fx.apply(tmp_path / "case", yes=True, nobody_else=True)
    assert (result["records"]["after"], result["records"]["lost"], result["remaining"]) == (300, 0, [])
    after = vectors_of(store)
    assert set(after) == set(before)
    assert all(np.allclose(after[name], before[name], rtol=0, atol=1e-6) for name in before)


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds open is seen in /proc only")
def test_holes_stay_holes_and_what_is_written_meanwhile_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "00000000-0000-4000-8000-000000000000"
    folder.mkdir(parents=True)
    path = folder / "link_lists.bin"
    with open(path, "wb") as handle:
        handle.truncate(256 << 20)
        handle.write(b"links")
        handle.flush()
        path.unlink()
        held = [each for each in held_files(os.getpid()) if each.store == str(folder.parent)]
        (copied,) = copy_out(held, tmp_path / "copy")
        there = tmp_path / "copy" / copied.path
        assert not copied.changed
        assert there.stat().st_size == 256 << 20
        assert there.stat().st_blocks * 512 < 1 << 20
        assert there.read_bytes()[:5] == b"links"


def test_it_refuses_in_one_sentence(sample: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no"):
        fx.rescue(2**22 + 1, tmp_path / "to")
    if sys.platform == "linux":
        with living(sample("1.5.9/healthy")) as pid, pytest.raises(Refused, match="has no deleted file"):
            fx.rescue(pid, tmp_path / "to")
    assert not (tmp_path / "to").exists()
