"""The engine as a child process: one JSON request per line in, one JSON answer per line out.

Run as `python -m forensics.testing.engine_child STORE` by the python of any chromadb release from 0.4 to 1.5.
It ends when its standard input ends. `{"call": name, …arguments}` is answered by `{"value": …}` or
`{"error": {"type", "message"}}`; a crash is seen by the parent as the end of the stream.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from forensics.testing.embedder import embed
from forensics.testing.outage import allow_attaching

try:
    import resource
except ImportError:  # Windows
    resource = None

Json = dict[str, Any]
LARGEST = 4 << 30


def version() -> str:
    """The chromadb release that answers."""
    import chromadb

    return chromadb.__version__


def is_before_1() -> bool:
    """True for the releases that are written in Python and configured by `hnsw:` metadata."""
    return version().startswith("0.")


class Child:
    """The calls that a session may make, on one client of one store."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The client of this process, opened at first use so that a failure to open is an answer."""
        if self._client is None:
            import chromadb
            from chromadb.config import Settings

            settings = Settings(anonymized_telemetry=False)
            self._client = chromadb.PersistentClient(self._store, settings=settings)
        return self._client

    def collection(self, name: str) -> Any:
        """The collection of that name, without an embedding function."""
        return self.client.get_collection(name, embedding_function=None)

    def ready(self) -> int:
        """The number of this process, which has imported chromadb then and may be watched."""
        version()
        allow_attaching()
        return os.getpid()

    def open(self) -> Json:
        """Opens the store (migrations run) and names the release."""
        return {"chroma": version(), "heartbeat": self.client.heartbeat() > 0}

    def create(self, collection: str, **settings: Any) -> Json:
        """Makes a collection; settings: space, sync_threshold, batch_size, M, ef_construction, ef_search."""
        how = _old_settings(settings) if is_before_1() else _new_settings(settings)
        made = self.client.create_collection(collection, embedding_function=None, **how)
        return {"id": str(made.id)}

    def write(self, collection: str, how: str, records: list[Json]) -> None:
        """`how` is add, upsert or update; records have id, document, metadata and get their vector here."""
        documents = [record["document"] for record in records]
        getattr(self.collection(collection), how)(
            ids=[record["id"] for record in records],
            embeddings=embed(documents).tolist(),
            metadatas=[record["metadata"] for record in records],
            documents=documents,
        )

    def update_metadata(self, collection: str, ids: list[str], metadatas: list[Json]) -> None:
        """Changes metadata alone; the queue row has no vector."""
        self.collection(collection).update(ids=ids, metadatas=metadatas)

    def delete(self, collection: str, ids: list[str]) -> None:
        """Deletes records by id."""
        self.collection(collection).delete(ids=ids)

    def delete_collection(self, collection: str) -> None:
        """Deletes a whole collection."""
        self.client.delete_collection(collection)

    def count(self, collection: str) -> int:
        """Number of records."""
        return self.collection(collection).count()

    def ids(self, collection: str) -> list[str]:
        """Every id, in the order of the engine."""
        return self.collection(collection).get(include=[])["ids"]

    def documents(self, collection: str) -> dict[str, str | None]:
        """id → document, of every record."""
        found = self.collection(collection).get(include=["documents"])
        return dict(zip(found["ids"], found["documents"], strict=True))

    def metadatas(self, collection: str) -> dict[str, Json | None]:
        """id → metadata, of every record."""
        found = self.collection(collection).get(include=["metadatas"])
        return dict(zip(found["ids"], found["metadatas"], strict=True))

    def vectors(self, collection: str, ids: list[str] | None = None) -> Json:
        """`get` with embeddings: ids and their vectors, as many of each as the engine returns."""
        return _vectors(self.collection(collection).get(ids=ids, include=["embeddings"]))

    def peek(self, collection: str, limit: int = 10) -> Json:
        """`peek`: ids and vectors of the first records."""
        return _vectors(self.collection(collection).peek(limit))

    def query(
        self, collection: str, documents: list[str], k: int, where: Json | None = None
    ) -> list[list[str]]:
        """For each document the ids of its k nearest records, nearest first."""
        vectors = embed(documents).tolist()
        found = self.collection(collection).query(
            query_embeddings=vectors, n_results=k, where=where, include=["distances"]
        )
        return found["ids"]


def _old_settings(settings: Json) -> Json:
    names = {"ef_construction": "construction_ef", "ef_search": "search_ef"}
    return {"metadata": {f"hnsw:{names.get(key, key)}": value for key, value in settings.items()} or None}


def _new_settings(settings: Json) -> Json:
    names = {"M": "max_neighbors"}
    return {"configuration": {"hnsw": {names.get(key, key): value for key, value in settings.items()}}}


def _vectors(answer: Any) -> Json:
    embeddings = answer["embeddings"]
    rows = [] if embeddings is None else [[float(x) for x in row] for row in embeddings]
    return {"ids": list(answer["ids"]), "vectors": rows}


def main(store: str) -> None:
    """Answers requests until standard input ends."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is a result here, not a file on the disk
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (LARGEST, LARGEST)
        )  # broken indexes have been written for 50 GB
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not end up between the answers
    child = Child(store)
    for line in sys.stdin:
        request = json.loads(line)
        name = request.pop("call")
        try:
            answer: Json = {"value": getattr(child, name)(**request)}
        except BaseException as error:  # noqa: BLE001 - a PanicException of the engine is not an Exception
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
