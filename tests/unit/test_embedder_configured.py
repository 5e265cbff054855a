"""`--embedder configured`: what a collection's own configuration names, built by chromadb's class, and never beyond it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.absent import Absent
from forensics.engine.embedding import InChild, refused
from forensics.errors import CannotComplete
from forensics.readers.embedding_function import EmbeddingFunction, embedding_function

Sample = Callable[[str], Path]
MODEL = {"model_name": "all-MiniLM-L6-v2", "device": "cpu", "normalize_embeddings": False, "kwargs": {}}
SERVICE = {"model_name": "text-embedding-3-small", "api_key_env_var": "OPENAI_API_KEY"}


def known(name: str, config: dict[str, Any] = MODEL) -> dict[str, Any]:
    return {"type": "known", "name": name, "config": config}


def in_schema(function: dict[str, Any]) -> str:
    deep: dict[str, Any] = {"config": {"space": "cosine", "embedding_function": function}}
    return json.dumps({"keys": {"#embedding": {"float_list": {"vector_index": deep}}}})


def test_it_is_read_where_each_release_writes_it() -> None:
    config = json.dumps({"vector_index": {"hnsw": {}}, "embedding_function": known("openai", SERVICE)})
    assert embedding_function(config, None) == EmbeddingFunction("openai", SERVICE)
    assert embedding_function("{}", in_schema(known("default", {}))) == EmbeddingFunction("default", {})
    assert embedding_function(config, in_schema(known("default", {}))) == EmbeddingFunction("default", {})


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{", '{"embedding_function": 3}', '{"embedding_function": {"type": "known"}}']
)
def test_what_names_none_is_a_reason(text: str | None) -> None:
    assert isinstance(embedding_function(text, text), Absent)


def test_that_of_a_sample_names_its_model(tmp_path: Path) -> None:
    store = samples.unpack(samples.root() / "minilm" / "1.5.9" / "directory-deleted", tmp_path / "store")
    with fx.open_store(store) as opened:
        row = opened.collection("terms").row
        assert embedding_function(row.config_json_str, row.schema_str) == EmbeddingFunction(
            "sentence_transformer", MODEL
        )


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (EmbeddingFunction("cohere", {}), "is none of default"),
        (
            EmbeddingFunction("sentence_transformer", {**MODEL, "kwargs": {"trust_remote_code": True}}),
            "arguments of its own",
        ),
        (EmbeddingFunction("sentence_transformer", {**MODEL, "model_name": "../evil"}), "is a folder"),
        (EmbeddingFunction("sentence_transformer", {**MODEL, "model_name": "/tmp/evil"}), "is a folder"),
        (
            EmbeddingFunction("openai", {**SERVICE, "api_base": "http://example.org/v1"}),
            "would send documents and key to",
        ),
        (
            EmbeddingFunction("openai", {**SERVICE, "api_key_env_var": "AWS_SECRET_ACCESS_KEY"}),
            "is not that of a key of OpenAI",
        ),
    ],
    ids=["unknown", "remote-code", "relative-folder", "folder", "elsewhere", "other-secret"],
)
def test_a_store_cannot_make_it_run_code_or_tell_a_secret(
    function: EmbeddingFunction, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert why in refused(function)


def test_what_is_usual_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(EmbeddingFunction("default", {})) == ""
    assert refused(EmbeddingFunction("sentence_transformer", MODEL)) == ""
    assert refused(EmbeddingFunction("openai", SERVICE)) == ""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert refused(EmbeddingFunction("openai", {**SERVICE, "api_base": "http://127.0.0.1:9/v1"})) == ""


def test_a_collection_without_one_says_so(sample: Sample) -> None:
    (terms,) = fx.embedder(sample("1.2.1/peek-failure"), "configured").collections
    assert terms.verdict == "not tried"
    assert "'terms': its configuration names no embedding function (it says 'legacy')" in terms.reason


def test_a_package_or_a_key_that_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is a real one, with chromadb's own class."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    package = importlib.util.find_spec("openai") is None
    why = "openai python package is not installed" if package else "OPENAI_API_KEY"
    with pytest.raises(CannotComplete, match=f"embedding function openai cannot be built: .*{why}"):
        InChild(EmbeddingFunction("openai", SERVICE))(["a text"])
