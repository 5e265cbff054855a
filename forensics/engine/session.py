"""chromadb in a child, of whatever release: a list of operations on a throw-away copy. Knows nothing of this
package.

Each operation leaves its outcome behind before the next one begins, so that a death shows which call died:
`steps.jsonl` holds a line {"begin": n} and a line {"end": n, "ok", "seconds", "value" or "error"} per
operation; ids go to <n>-ids.json and embeddings to <n>-embeddings.npy. Runs with chromadb 0.4.24 to 1.5.9.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

# chromadb imports jsonschema and httpx, and those, where they are installed, add-ons that halve the speed of a start
# and that nothing here needs. Both do without them; None makes Python report them as absent.
for _addon in (
    "rfc3987_syntax",
    "rfc3986_validator",
    "uri_template",
    "isoduration",
    "webcolors",
    "httpx._main",
):
    sys.modules.setdefault(_addon, None)  # type: ignore[arg-type]

import chromadb  # noqa: E402
import numpy as np  # noqa: E402
from chromadb.config import Settings  # noqa: E402

ADD_BATCH = 500


def run(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """Does the operations in order, numbered from `request["first"]`.

    An error ends only its own operation, but for those with a "group": after one of them the next group is
    not begun.
    """
    session, failed = Session(request, folder), None
    with open(os.path.join(folder, "steps.jsonl"), "a", encoding="utf-8") as log:
        for number, operation in enumerate(request["operations"], request["first"]):
            if failed is not None and operation.get("group") != failed:
                break
            _note(log, {"begin": number})
            outcome = session.outcome(number, operation)
            _note(log, {"end": number, **outcome})
            failed = failed if outcome["ok"] else operation.get("group")
            if operation["op"] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
    return {"chromadb": chromadb.__version__}


def _note(log: Any, line: dict[str, Any]) -> None:
    log.write(json.dumps(line) + "\n")
    log.flush()


class Session:
    """One client on one store; collections are opened when they are first asked."""

    def __init__(self, request: dict[str, Any], folder: str) -> None:
        self.store, self.folder = request["store"], folder
        self.clients: dict[tuple[str, str], Any] = {}
        self.collections: dict[tuple[str, str, str], Any] = {}

    def outcome(self, number: int, operation: dict[str, Any]) -> dict[str, Any]:
        """The value, or the error: also one that is not an Exception, as a Rust panic is."""
        started = time.perf_counter()
        try:
            value = getattr(self, operation["op"])(number, operation)
            found = {"ok": True, "value": value}
        except BaseException as error:  # noqa: BLE001 - whatever a call raises is what it does
            found = {"ok": False, "error": {"type": type(error).__name__, "text": str(error)[:4000]}}
        return {**found, "seconds": time.perf_counter() - started}

    def collection(self, operation: dict[str, Any]) -> Any:
        tenant = operation.get("tenant", "default_tenant")
        database = operation.get("database", "default_database")
        key = (tenant, database, operation["collection"])
        if key not in self.collections:
            self.collections[key] = self.client(tenant, database).get_collection(
                key[2], embedding_function=None
            )
        return self.collections[key]

    def client(self, tenant: str = "default_tenant", database: str = "default_database") -> Any:
        if (tenant, database) not in self.clients:
            quiet = Settings(anonymized_telemetry=False)
            made = chromadb.PersistentClient(self.store, settings=quiet, tenant=tenant, database=database)
            self.clients[(tenant, database)] = made
        return self.clients[(tenant, database)]

    # --- operations ---

    def open(self, number: int, operation: dict[str, Any]) -> None:
        self.client()

    def kill(self, number: int, operation: dict[str, Any]) -> None:
        """The process ends by SIGKILL right after this is noted."""

    def count(self, number: int, operation: dict[str, Any]) -> int:
        return self.collection(operation).count()

    def get(self, number: int, operation: dict[str, Any]) -> dict[str, Any]:
        """ids, limit, offset, where and include are chromadb's own."""
        names = ("ids", "limit", "offset", "where", "where_document")
        wanted = {name: operation[name] for name in names if operation.get(name) is not None}
        found = self.collection(operation).get(**wanted, include=operation.get("include", []))
        return self.kept(number, found)

    def peek(self, number: int, operation: dict[str, Any]) -> dict[str, Any]:
        return self.kept(number, self.collection(operation).peek(operation.get("limit", 10)))

    def query(self, number: int, operation: dict[str, Any]) -> dict[str, Any]:
        """The `k` nearest of each row of the file `vectors`; <n>-ids.json is a list of lists."""
        wanted = {"where": operation["where"]} if operation.get("where") is not None else {}
        vectors = self.array(operation["vectors"]).tolist()
        found = self.collection(operation).query(
            query_embeddings=vectors, n_results=operation["k"], include=["distances"], **wanted
        )
        self.keep_ids(number, found["ids"])
        return {"ids": [len(row) for row in found["ids"]]}

    def add(self, number: int, operation: dict[str, Any]) -> int:
        return self.write("add", operation)

    def upsert(self, number: int, operation: dict[str, Any]) -> int:
        return self.write("upsert", operation)

    def write(self, verb: str, operation: dict[str, Any]) -> int:
        """`ids` with the rows of the file `vectors`, in calls of `step` records."""
        vectors, ids = self.array(operation["vectors"]), operation["ids"]
        step = operation.get("step", ADD_BATCH)
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            getattr(self.collection(operation), verb)(ids=ids[part], embeddings=vectors[part].tolist())
        return len(ids)

    def delete(self, number: int, operation: dict[str, Any]) -> int:
        self.collection(operation).delete(ids=operation["ids"])
        return len(operation["ids"])

    def list_collections(self, number: int, operation: dict[str, Any]) -> list[str]:
        found = self.client().list_collections()
        return sorted(item if isinstance(item, str) else item.name for item in found)

    # --- what is kept ---

    def array(self, name: str) -> np.ndarray:
        return np.load(os.path.join(self.folder, name), mmap_mode="r")

    def keep_ids(self, number: int, ids: Any) -> None:
        with open(os.path.join(self.folder, f"{number}-ids.json"), "w", encoding="utf-8") as handle:
            json.dump(ids, handle)

    def kept(self, number: int, found: Any) -> dict[str, Any]:
        """How many ids and embeddings came back; None: no embeddings were asked or given."""
        self.keep_ids(number, list(found["ids"]))
        rows = found.get("embeddings")
        if rows is None:
            return {"ids": len(found["ids"]), "embeddings": None}
        rectangular = [row for row in rows if row is not None]
        np.save(
            os.path.join(self.folder, f"{number}-embeddings.npy"), np.array(rectangular, dtype=np.float32)
        )
        return {"ids": len(found["ids"]), "embeddings": len(rectangular)}
