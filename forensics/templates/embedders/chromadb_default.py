"""Embeds as Chroma does where no embedding function was named: all-MiniLM-L6-v2 by ONNX.

    forensics embedder --template chromadb-default > default.py
    forensics embedder --check STORE --embedder default.py:embed

The first call downloads the model (79 MB) into ~/.cache/chroma, unless it is there.
"""

from functools import cache


@cache
def function():
    """The embedding function of chromadb, which opens no store."""
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2

    return ONNXMiniLM_L6_V2(preferred_providers=["CPUExecutionProvider"])


def embed(texts: list[str]):
    """(n, 384) float32."""
    return function()(texts)


def count_tokens(texts: list[str]) -> list[int]:
    """the model's own tokenizer, which cuts at 256"""
    return [sum(row.attention_mask) for row in function().tokenizer.encode_batch(texts)]
