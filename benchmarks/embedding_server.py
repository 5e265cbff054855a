"""The embedder behind an address on loopback, as OpenAI's and every compatible server answers, for peers that ask one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from benchmarks.embedder import embed


@dataclass(slots=True)
class Served:
    """Where the embedder answers, and how many documents it has embedded since it began."""

    url: str
    documents: int = 0

    @property
    def mempalace(self) -> dict[str, str]:
        """The environment that makes mempalace ask here."""
        asked = {"MODEL": "openai-compat", "API_URL": self.url, "API_MODEL": "from-text"}
        return {f"MEMPALACE_EMBEDDING_{name}": value for name, value in asked.items()}


@contextmanager
def serving(embedder: Callable[[list[str]], np.ndarray] = embed) -> Generator[Served]:
    """Inside, the embedder answers POST requests on a free port of 127.0.0.1."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            texts: list[str] = [asked] if isinstance(asked, str) else asked
            served.documents += len(texts)
            data = [{"index": i, "embedding": each} for i, each in enumerate(embedder(texts).tolist())]
            body = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what was asked is counted."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        served = Served(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield served
        finally:
            server.shutdown()
