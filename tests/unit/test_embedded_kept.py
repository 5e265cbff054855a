"""What an embedder has made is kept in the case, batch by batch, and a repair that was killed does not ask for it again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics.errors import CannotComplete
from forensics.repair import embedded_kept
from forensics.repair.embedded_kept import KeptOnDisk, keeping, keys_of
from forensics.repair.embedder_pace import Pace
from forensics.repair.embedding import Embedder
from forensics.testing.embedder import embed

Sample = Callable[[str], Path]
COUNTING = """
import os
from forensics.testing.embedder import embed as inner

def embed(texts):
    with open(os.environ["EMBED_LOG"], "a") as log:
        log.writelines(f"{text!r}\\n" for text in texts)
    if os.path.exists(os.environ["EMBED_LOG"] + ".slow"):
        __import__("time").sleep(0.1)
    return inner(texts)
"""
TEXTS = [f"text number {i}" for i in range(10)]


def asked(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def test_vectors_come_back_as_they_were_put(tmp_path: Path) -> None:
    path = tmp_path / "embedded" / "one.bin"
    keys, made = keys_of(TEXTS), embed(TEXTS)
    first = KeptOnDisk(path)
    first.put(keys[:4], made[:4], 0.5)
    first.put(keys[4:], made[4:], 0.5)
    again = KeptOnDisk(path)
    assert all(again.has(key, 32) for key in keys)
    assert not again.has(keys[0], 31)
    assert (again.rows(keys[::-1], 32) == made[::-1]).all()
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize("missing", [1, 40, 700])
def test_a_frame_that_was_cut_short_is_left_out_and_written_over(missing: int, tmp_path: Path) -> None:
    path = tmp_path / "embedded" / "one.bin"
    keys, made = keys_of(TEXTS), embed(TEXTS)
    KeptOnDisk(path).put(keys[:4], made[:4], 0.5)
    whole = path.stat().st_size
    KeptOnDisk(path).put(keys[4:], made[4:], 0.5)
    os.truncate(path, path.stat().st_size - missing)
    cut = KeptOnDisk(path)
    assert [cut.has(key, 32) for key in keys] == [True] * 4 + [False] * 6
    cut.put(keys[4:5], made[4:5], 0.5)
    assert path.stat().st_size < 2 * whole
    assert (KeptOnDisk(path).rows(keys[:5], 32) == made[:5]).all()


def test_a_byte_that_changed_ends_what_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "embedded" / "one.bin"
    keys, made = keys_of(TEXTS), embed(TEXTS)
    KeptOnDisk(path).put(keys, made, 0.5)
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    assert not any(KeptOnDisk(path).has(key, 32) for key in keys)


def test_two_that_keep_in_one_file_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "embedded" / "one.bin"
    keys, made = keys_of(TEXTS), embed(TEXTS)
    one, other = KeptOnDisk(path), KeptOnDisk(path)
    one.put(keys[:3], made[:3], 0.5)
    other.put(keys[3:6], made[3:6], 0.5)
    one.put(keys[6:], made[6:], 0.5)
    assert (KeptOnDisk(path).rows(keys, 32) == made).all()


def other(texts: list[str]) -> np.ndarray:
    return embed(texts)[:, ::-1] if os.environ.get("EMBED_OTHERWISE") else embed(texts)


def test_what_was_kept_long_ago_is_believed_once_some_of_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeping(tmp_path):
        Embedder.load(f"{__name__}:other")(TEXTS, 32)
        monkeypatch.setenv("EMBED_OTHERWISE", "yes")
        more = [*TEXTS, "a new one"]
        assert Embedder.load(f"{__name__}:other")(more, 32).shape == (11, 32)  # a moment later
        yesterday = time.time() + 86_400
        monkeypatch.setattr("forensics.repair.embedding.time.time", lambda: yesterday)
        with pytest.raises(CannotComplete, match="makes other vectors now"):
            Embedder.load(f"{__name__}:other")([*more, "another new one"], 32)


def test_outside_of_a_case_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert embedded_kept.place() is None
    Embedder.load(f"{__name__}:other", pace=Pace(batch=3))(TEXTS, 32)
    assert list(tmp_path.iterdir()) == []


def test_a_repair_that_is_killed_while_it_embeds_goes_on_from_there(
    tmp_path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, case, log = sample("1.2.1/peek-failure"), tmp_path / "case", tmp_path / "log"
    monkeypatch.setenv("EMBED_LOG", str(log))
    file = tmp_path / "counting.py"
    file.write_text(COUNTING, encoding="utf-8")
    fx.plan(store, case=case, embedder=f"{file}:embed", batch_size=8, engine="none")
    sampled = len(asked(log))
    (tmp_path / "log.slow").touch()
    command = [sys.executable, "-P", "-m", "forensics", "apply", "--case", str(case), "--yes"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(asked(log)) < sampled + 60 and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    killed = asked(log)
    assert sampled + 60 <= len(killed) < 279, "it was killed in the middle"
    assert "CF501" in fx.diagnose(store).codes(), "the store is as it was"
    (tmp_path / "log.slow").unlink()
    result = fx.apply(case, yes=True, engine="none")
    assert (result["verified"], result["records"]["reembedded"]) == ("checks", 279)
    again = [text for text in asked(log)[len(killed) :] if text in set(killed[:-8])]
    assert again == [], "no finished batch is asked again"
    assert len(set(asked(log))) == len(asked(log)) - len(set(killed[-8:]) & set(asked(log)[len(killed) :]))
