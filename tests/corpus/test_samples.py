"""Every sample store restores exactly, is small, says how it was made, and shows its symptom."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from forensics import samples
from forensics.engine.releases import release_python
from forensics.testing import texts
from forensics.testing.embedder import DIMENSION, embed
from forensics.testing.symptom import failures

NAMES = samples.names()
MIB = 1 << 20
SPARSE = {"1.5.9/link-lists-bloated", "1.5.9/flush-cut-reopened"}
REQUIRED = {
    *(f"{release}/healthy" for release in ("0.4.24", "0.5.23", "0.6.3", "1.0.20", "1.2.1", "1.5.9")),
    *("1.5.9/healthy-churned", "1.5.9/healthy-three-collections", "1.5.9/healthy-upgraded"),
    *("1.2.1/peek-failure", "1.2.1/peek-failure-few", "0.6.3/pickle-of-0.6"),
    *("1.5.9/sql-only-orphans", "1.5.9/flush-cut", "1.5.9/flush-cut-reopened"),
    *("1.5.9/pickle-lost", "1.5.9/pickle-truncated", "1.5.9/link-lists-bloated"),
    *("1.5.9/neighbour-out-of-range", "1.5.9/watermark-poisoned", "1.5.9/set-aside"),
}


def test_every_promised_sample_is_there() -> None:
    assert set(NAMES) >= REQUIRED


@pytest.mark.parametrize("name", NAMES)
def test_restores_exactly(name: str, tmp_path: Path) -> None:
    store = samples.restore(name, tmp_path / "store")
    assert samples.differences(name, store) == []


@pytest.mark.parametrize("name", NAMES)
def test_holes_are_restored_as_holes(name: str, tmp_path: Path) -> None:
    huge = [entry for entry in samples.manifest(name)["entries"] if entry.get("size", 0) >= 4 << 30]
    assert bool(huge) == (name in SPARSE)
    store = samples.restore(name, tmp_path / "store")
    for entry in huge:
        status = (store / entry["path"]).stat()
        assert (entry["extents"] is not None, status.st_size) == (True, entry["size"])
        assert status.st_blocks * 512 < MIB


@pytest.mark.parametrize("name", NAMES)
def test_is_small(name: str) -> None:
    files = [
        path for path in samples.folder(name).rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sum(path.stat().st_size for path in files) < 2 * MIB


@pytest.mark.parametrize("name", NAMES)
def test_manifest_is_complete(name: str) -> None:
    manifest = samples.manifest(name)
    release, short = name.split("/")
    assert (manifest["schema"], manifest["chroma"], manifest["name"]) == (1, release, short)
    assert manifest["what"].endswith(".")
    assert manifest["embedder"] == "forensics.testing.embedder:embed"
    assert manifest["symptom"]
    assert all({"name", "id", "space", "dimension", "records"} <= set(c) for c in manifest["collections"])
    stored = [samples.folder(name) / entry["stored"] for entry in manifest["entries"] if "stored" in entry]
    packed = [path for path in (samples.folder(name) / "store").rglob("*") if path.is_file()]
    assert sorted(stored) == sorted(packed)


@pytest.mark.parametrize("name", NAMES)
def test_make_pins_its_release(name: str) -> None:
    script = (samples.folder(name) / "make.py").read_text(encoding="utf-8")
    metadata = re.match(r"# /// script\n(# .*\n)*?# dependencies = \[(.*)\]\n# ///\n", script)
    assert metadata is not None
    assert f'"chromadb=={name.split("/")[0]}"' in metadata[2]


@pytest.mark.parametrize("name", NAMES)
def test_truth_names_every_record(name: str) -> None:
    truth = samples.truth(name)
    counts = {c["name"]: c["records"] for c in samples.manifest(name)["collections"]}
    assert {key: len(value.ids) for key, value in truth.items()} == counts
    for collection in truth.values():
        assert len(set(collection.ids)) == len(collection.ids)
        assert collection.vectors.shape == (len(collection.ids), DIMENSION)
        assert np.isfinite(collection.vectors).all()


def test_an_altered_store_is_told_apart(tmp_path: Path) -> None:
    name = "1.5.9/healthy"
    store = samples.restore(name, tmp_path / "store")
    header = next(store.glob("*/header.bin"))
    relative = header.relative_to(store).as_posix()
    data = header.read_bytes()
    header.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (store / "more").touch()
    found = samples.differences(name, store)
    assert f"{relative}: content" in found
    assert f"{relative}: modification time" in found
    assert "more: not in the sample" in found


def test_a_damaged_sample_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(samples.folder("1.5.9/healthy"), tmp_path / "1.5.9" / "healthy")
    packed = next(tmp_path.rglob("chroma.sqlite3*"))
    packed.write_bytes(packed.read_bytes()[:-100])
    monkeypatch.setenv("FORENSICS_SAMPLES", str(tmp_path))
    with pytest.raises(samples.SampleDamaged, match=re.escape(packed.name)):
        samples.restore("healthy", tmp_path / "restored")


@pytest.mark.parametrize(
    ("name", "says"), [("healthy", "Several samples"), ("no-such", "There is no sample")]
)
def test_a_name_must_fit_one_sample(name: str, says: str) -> None:
    with pytest.raises(samples.UnknownSample, match=says):
        samples.folder(name)


def test_a_sample_is_never_restored_over_something(tmp_path: Path) -> None:
    (tmp_path / "note.txt").touch()
    with pytest.raises(samples.UsageError, match="not an empty folder"):
        samples.restore("peek-failure", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_missing_folder_of_samples_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORENSICS_SAMPLES", str(tmp_path / "absent"))
    with pytest.raises(samples.UnknownSample, match="FORENSICS_SAMPLES"):
        samples.names()


def test_the_texts_are_distinct_records() -> None:
    known = (*texts.records(), *texts.fresh(700))
    assert len(texts.records()) == 300
    assert len({record.id for record in known}) == len({record.document for record in known}) == 1000
    assert all(re.fullmatch(r"[a-z]+:[a-z]+:https?://\S+", record.id) for record in known)
    kinds = {type(value) for record in known for value in record.metadata.values()}
    assert kinds == {str, int, float, bool}


def test_the_embedder_gives_the_same_bits_everywhere() -> None:
    vectors = embed(["neuron", "", "the same  text", "The same text"])
    assert vectors.dtype == np.float32
    assert vectors[1].tolist() == [0.0] * DIMENSION
    assert np.array_equal(vectors[2], vectors[3])
    assert np.array_equal(
        vectors[0, :4], np.float32([-0.0939830094575882, 0.0, 0.06887894868850708, -0.06962341070175171])
    )


@pytest.mark.oldchroma
@pytest.mark.parametrize("name", NAMES)
def test_the_engine_shows_the_symptom(name: str) -> None:
    release = name.split("/")[0]
    python = release_python(release)
    if python is None:
        pytest.skip(f"no environment with chromadb {release}: set FORENSICS_RELEASES")
    assert failures(name, python) == []


def test_the_table_of_samples_is_true() -> None:
    table = (samples.root() / "README.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if re.match(r"\| \d", line)]
    assert rows == [f"| {name} | {samples.manifest(name)['what']} |" for name in NAMES]
