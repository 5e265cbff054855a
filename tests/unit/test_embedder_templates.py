"""The templates of embedders work as they are: against a server on loopback that speaks OpenAI's API, or with the model."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics.repair.embedding import Embedder
from forensics.templates import FOLDER, template_text, templates
from forensics.testing.embedder import embed

Sample = Callable[[str], Path]
KEY = "sk-of-a-test"
LONGEST = 120
"""Letters of a text that this model takes; those of two samples are longer."""


class Service(ThreadingHTTPServer):
    """Speaks POST /v1/embeddings. `script`: what the first requests get instead of an answer."""

    daemon_threads = True

    def __init__(self, script: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.given, self.seen = list(script), list[str](), list[dict[str, Any]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append({**asked, "path": self.path, "key": self.headers["authorization"]})
        what = self.server.script.pop(0) if self.server.script else "answer"
        self.server.given.append(what)
        if what == "drop":
            self.connection.close()
        elif what == "429":
            self._say(429, {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, "1")
        elif what == "500":
            self._say(500, {"error": {"message": "The server had an error"}})
        elif what == "401":
            self._say(401, {"error": {"message": "Incorrect API key provided"}})
        elif any(len(text) > LONGEST for text in asked["input"]):
            self._say(400, {"error": {"message": "maximum context length exceeded"}})
        else:
            rows = [
                {"object": "embedding", "index": i, "embedding": row.tolist()}
                for i, row in enumerate(embed(asked["input"]))
            ]
            self._say(200, {"object": "list", "model": asked["model"], "data": rows[::-1]})

    def _say(self, status: int, body: dict[str, Any], wait: str | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        if wait is not None:
            self.send_header("retry-after", wait)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: its output is not the test's."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Service]]:
    """`service(script)` is a server on loopback; the environment names it."""
    made: list[Service] = []

    def serve(*script: str) -> Service:
        server = Service(list(script))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        made.append(server)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        return server

    yield serve
    for server in made:
        server.shutdown()
        server.server_close()


def mine(name: str, folder: Path) -> str:
    """The template as a user keeps it."""
    path = folder / f"my_{name.replace('-', '_')}.py"
    path.write_text(template_text(name), encoding="utf-8")
    return f"{path}:embed"


def test_there_are_three() -> None:
    assert templates() == ("chromadb-default", "openai", "sentence-transformers")
    assert {path.stem.replace("_", "-") for path in FOLDER.glob("*.py")} == set(templates())


def test_openai_repairs_a_store_through_limits_errors_and_a_dropped_connection(
    service: Callable[..., Service], sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.LONGEST", 10_000)
    server = service("answer", "429", "500", "drop")
    case = tmp_path / "case"
    fx.plan(sample("1.2.1/peek-failure"), case=case, embedder=mine("openai", tmp_path), batch_size=64)
    result = fx.apply(case, yes=True, engine="none")
    assert (result["verified"], result["records"]["reembedded"]) == ("checks", 279)
    assert [what for what in server.given if what != "answer"] == ["429", "500", "drop"]
    texts = [
        text
        for each, what in zip(server.seen, server.given, strict=True)
        if what == "answer"
        for text in each["input"]
    ]
    assert len(texts) == len(set(texts)), "nothing is asked twice"
    assert {each["path"] for each in server.seen} == {"/v1/embeddings"}
    assert {each["key"] for each in server.seen} == {f"Bearer {KEY}"}
    assert max(len(each["input"]) for each in server.seen) == 64


def test_openai_names_the_text_that_is_too_long(service: Callable[..., Service], tmp_path: Path) -> None:
    service()
    texts = [*(f"short text {i}" for i in range(30)), "long " * 100]
    made, failed = Embedder.load(mine("openai", tmp_path)).tolerant(texts, 32)
    assert failed == {30: "raised HTTPError: HTTP Error 400: Bad Request"}
    assert (made[:30] == embed(texts[:30])).all()


def test_openai_is_asked_once_with_a_wrong_key(
    service: Callable[..., Service], sample: Sample, tmp_path: Path
) -> None:
    server = service("401", "401", "401")
    found = fx.embedder(sample("1.2.1/peek-failure"), mine("openai", tmp_path))
    assert found.exit_status == 8
    assert "HTTP Error 401" in repr(found)
    assert len(server.seen) == 1


def test_openai_says_that_a_key_is_missing(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    found = fx.embedder(sample("1.2.1/peek-failure"), mine("openai", tmp_path))
    assert "OPENAI_API_KEY is not set" in repr(found)


def default_model() -> Path:
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2 as Function

    return Function.DOWNLOAD_PATH / Function.EXTRACTED_FOLDER_NAME / "model.onnx"


def test_chromadb_default_embeds_as_chroma_does(tmp_path: Path) -> None:
    if not default_model().exists():
        pytest.skip(
            f"Chroma's default model is not in {default_model().parent.name}/ of its cache, and a test downloads nothing"
        )
    made = Embedder.load(mine("chromadb-default", tmp_path))(["a text", "another"], 384)
    assert abs((made**2).sum(axis=1) - 1).max() < 1e-3


@pytest.mark.minilm
def test_sentence_transformers_embeds_and_counts(tmp_path: Path) -> None:
    from forensics.repair.embedding_bill import tokens_of

    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed: pip install 'chroma-forensics[minilm]'")
    embedder = Embedder.load(mine("sentence-transformers", tmp_path))
    made = embedder(["a text", "a text of more words"], 384)
    assert abs((made**2).sum(axis=1) - 1).max() < 1e-3
    found = tokens_of(["a text"], embedder)
    assert (found.count, found.by) == (4, "counted by the model's own tokenizer")
