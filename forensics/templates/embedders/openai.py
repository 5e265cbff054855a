"""Embeds by OpenAI's API, or one that speaks it, with the standard library alone.

    forensics embedder --template openai > my_openai.py
    OPENAI_API_KEY=… forensics embedder --check STORE --embedder my_openai.py:embed

OPENAI_API_KEY is the key; OPENAI_EMBEDDING_MODEL the model (default text-embedding-3-small); OPENAI_BASE_URL another
service. An answer 429 or 5xx, or a connection that breaks, is raised as it is: the workbench waits as long as Retry-After
says and asks again.
"""

import json
import os
import urllib.request

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
MODEL = os.environ.get("OPENAI_EMBEDDING_MODEL", "text-embedding-3-small")
SECONDS = 120


def embed(texts: list[str]) -> list[list[float]]:
    """One call; row i belongs to text i. Raises urllib.error.HTTPError for what is no answer."""
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise RuntimeError("OPENAI_API_KEY is not set")
    request = urllib.request.Request(
        f"{BASE}/embeddings",
        data=json.dumps({"model": MODEL, "input": texts, "encoding_format": "float"}).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        rows = json.load(answer)["data"]
    return [row["embedding"] for row in sorted(rows, key=lambda row: row["index"])]


def count_tokens(texts: list[str]) -> list[int]:
    """tiktoken, as the model does"""
    import tiktoken  # pip install tiktoken; without it the plan estimates

    encoding = tiktoken.encoding_for_model(MODEL)
    return [len(encoding.encode(text, disallowed_special=())) for text in texts]
