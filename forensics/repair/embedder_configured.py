"""`--embedder configured`: of each collection the embedding function that its own configuration names."""

from __future__ import annotations

import json
from hashlib import sha256

import numpy as np

from forensics.absent import Absent
from forensics.engine.embedding import configured
from forensics.errors import CannotComplete
from forensics.readers.embedding_function import EmbeddingFunction, embedding_function
from forensics.repair.embedder_file import CONFIGURED
from forensics.repair.embedder_pace import Pace
from forensics.repair.embedding import Embedder
from forensics.store import Collection


class Configured(Embedder):
    """Stands for an embedder per collection; `on` gives that of one."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(CONFIGURED, _of_none, None, pace)
        self._pace, self._made = pace, dict[str, Embedder]()

    def on(self, collection: Collection) -> Embedder:
        found = embedding_function(collection.row.config_json_str, collection.row.schema_str)
        key = repr(found)
        if key not in self._made:
            self._made[key] = self._built(collection, found)
        return self._made[key]

    def _built(self, collection: Collection, found: EmbeddingFunction | Absent) -> Embedder:
        if isinstance(found, Absent):
            return Embedder(CONFIGURED, _Refusing(f"{collection.name!r}: {found.reason}"), None, self._pace)
        try:
            function = configured(found)
        except CannotComplete as error:
            return Embedder(CONFIGURED, _Refusing(str(error).rstrip(".")), None, self._pace)
        digest = sha256(json.dumps(dict(found.config), sort_keys=True).encode()).hexdigest()[:8]
        model = found.config.get("model_name") or "all-MiniLM-L6-v2"
        return Embedder(f"configured {found.name} {model} {digest}", function, None, self._pace)


def _of_none(texts: list[str]) -> np.ndarray:
    raise CannotComplete("The embedder 'configured' is one of a collection.")


class _Refusing:
    """Gives no vectors, but a reason."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __call__(self, texts: list[str]) -> np.ndarray:
        raise CannotComplete(f"There is no configured embedder: {self.why}.")
