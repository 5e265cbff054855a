"""The store against the user's own source, of every kind; the collection over HTTP is served by a real chromadb."""

from __future__ import annotations

import csv
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pandas as pd
import pytest

import forensics as fx
from forensics import samples
from forensics.errors import UsageError
from forensics.testing.damage import damage_menu

Sample = Callable[[str], Path]
Row = dict[str, Any]


def truth_rows() -> list[Row]:
    """What the healthy sample holds: (id, vector, document), by the model that built it."""
    truth = samples.truth("1.5.9/healthy")["terms"]
    return [
        {"id": name, "vector": vector.tolist(), "document": text}
        for name, vector, text in zip(truth.ids, truth.vectors, truth.documents, strict=True)
    ]


def spoiled() -> list[Row]:
    """Of 300 records: 4 are not there, 3 are new, 2 have another vector, 1 another text, and one has no vector."""
    rows = truth_rows()[4:]
    for row in rows[:2]:
        row["vector"] = row["vector"][::-1]
    rows[2]["document"] = "another text"
    rows[3]["vector"] = None
    extra = {"vector": rows[9]["vector"], "document": "new"}
    return rows + [{"id": f"new:{number}", **extra} for number in range(3)]


def as_jsonl(path: Path, rows: list[Row]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def as_parquet(path: Path, rows: list[Row]) -> str:
    pd.DataFrame(rows).to_parquet(path, index=False)
    return str(path)


def as_npz(path: Path, rows: list[Row]) -> str:
    width = len(rows[0]["vector"])
    vectors = [row["vector"] or [np.nan] * width for row in rows]
    texts = np.array([row["document"] for row in rows])
    np.savez(path, ids=np.array([row["id"] for row in rows]), vectors=np.array(vectors), documents=texts)
    return str(path)


def as_table(path: Path, rows: list[Row]) -> str:
    cells = [
        (row["id"], row["vector"] and np.array(row["vector"], "<f4").tobytes(), row["document"])
        for row in rows
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute('CREATE TABLE "my docs" (id TEXT, embedding BLOB, document TEXT)')
        database.execute("CREATE TABLE other (id TEXT, embedding TEXT)")
        database.executemany('INSERT INTO "my docs" VALUES (?, ?, ?)', cells)
        database.executemany(
            "INSERT INTO other VALUES (?, ?)", [(row["id"], json.dumps(row["vector"])) for row in rows]
        )
    return f"{path}#my docs"


KINDS = {"x.jsonl": as_jsonl, "x.parquet": as_parquet, "x.npz": as_npz, "x.sqlite": as_table}


def told(store: Path, source: object, **options: object) -> Row:
    (answer,) = fx.diagnose(store, source=[source], only=["CF501"], **options).to_json()["sources"]  # pyright: ignore[reportArgumentType] - as the test gives them
    return answer


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_says_the_same(name: str, sample: Sample, tmp_path: Path) -> None:
    source = KINDS[name](tmp_path / name, spoiled())
    names = [row["id"] for row in truth_rows()]

    found = told(sample("1.5.9/healthy"), source)

    assert (found["collection"], found["in_source"], found["in_store"], found["shared"]) == (
        "terms",
        299,
        300,
        296,
    )
    assert found["only_in_source"] == {"count": 3, "examples": ["new:0", "new:1", "new:2"]}
    assert (found["only_in_store"]["count"], set(found["only_in_store"]["examples"])) == (4, set(names[:4]))
    assert set(found["other_vector"]["examples"]) == set(names[4:6])
    assert (found["other_vector"]["count"], found["vectors_compared"]) == (2, 295)
    assert found["other_document"] == {"count": 1, "examples": [names[6]]}
    assert found["documents_compared"] == 296
    assert found["farthest"] > 1e-4


def test_the_same_records_differ_in_nothing(sample: Sample, tmp_path: Path) -> None:
    for name in ("1.5.9/healthy", "0.4.24/healthy", "0.6.3/healthy"):
        truth = samples.truth(name)["terms"]
        path = tmp_path / f"{name.replace('/', '-')}.npz"
        np.savez(path, ids=np.array(truth.ids), vectors=truth.vectors, documents=np.array(truth.documents))
        found = told(sample(name), path)
        parts = ("only_in_source", "only_in_store", "other_vector", "other_document")
        assert [found[part]["count"] for part in parts] == [0, 0, 0, 0], (name, found)
        assert found["vectors_compared"] == found["documents_compared"] == len(truth.ids)
        assert found["farthest"] <= 1e-6


def test_a_table_must_be_named_where_there_are_two(sample: Sample, tmp_path: Path) -> None:
    as_table(tmp_path / "x.sqlite", spoiled())
    store = sample("1.5.9/healthy")

    assert told(store, f"{tmp_path}/x.sqlite#other")["vectors_compared"] == 295
    with pytest.raises(UsageError, match="2 of its tables have a column id"):
        told(store, tmp_path / "x.sqlite")
    with pytest.raises(UsageError, match="no table 'gone'"):
        told(store, f"{tmp_path}/x.sqlite#gone")


def test_ids_alone_are_a_source_to_compare_with_and_not_to_repair_from(
    sample: Sample, tmp_path: Path
) -> None:
    path = as_jsonl(tmp_path / "ids.jsonl", [{"id": row["id"]} for row in truth_rows()[:7]])
    store = sample("1.5.9/healthy")

    found = told(store, path)

    assert (found["shared"], found["vectors_compared"], found["not_compared"]) == (
        7,
        0,
        "the source has no vectors",
    )
    assert found["farthest"] is None
    with pytest.raises(UsageError, match="no vectors"):
        fx.plan(sample("peek-failure"), source=[path])


def test_vectors_of_another_length_are_not_compared(sample: Sample, tmp_path: Path) -> None:
    path = as_jsonl(tmp_path / "x.jsonl", [{"id": row["id"], "vector": [1.0, 2.0]} for row in truth_rows()])

    assert "vectors of 2 components" in told(sample("1.5.9/healthy"), path)["not_compared"]


def test_what_a_broken_store_lost_is_in_the_source(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM embeddings WHERE id <= 12")

    assert told(store, as_jsonl(tmp_path / "x.jsonl", truth_rows()))["only_in_source"]["count"] == 12


def test_the_text_says_it_and_the_case_has_the_lists(
    sample: Sample, tmp_path: Path, say: Callable[..., Any]
) -> None:
    source = as_jsonl(tmp_path / "x.jsonl", spoiled())
    store = sample("1.5.9/healthy")

    shown = say("diagnose", store, "--source", source, "--case", "kept")
    without = say("diagnose", store, "--format", "json")

    assert "in the source and not in the store: 3" in shown.out
    assert "other vector (of 295" in shown.out
    assert "sources" not in without.data
    (lines,) = Path("kept/evidence").glob("source-01-only_in_store.csv")
    assert len(list(csv.reader(lines.read_text(encoding="utf-8").splitlines()))) == 5
    assert json.loads(Path("kept/diagnosis.json").read_text(encoding="utf-8"))["sources"][0]["shared"] == 296


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("gone.jsonl", "is no file that can be read"),
        ("http://127.0.0.1:9", "name the server and one collection"),
        ("http://127.0.0.1:9/a/b", "name the server and one collection"),
        ("http://127.0.0.1:9/terms", "the server does not give it"),
    ],
)
def test_a_source_that_is_none_is_one_sentence(
    source: str, words: str, sample: Sample, say: Callable[..., Any]
) -> None:
    said = say("diagnose", sample("1.5.9/healthy"), "--source", source)

    assert said.status == 16
    assert words in said.sentence


# --- another collection over HTTP ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The healthy sample, served by `chroma run` of the installed release on loopback."""
    store = samples.restore("1.5.9/healthy", tmp_path_factory.mktemp("served") / "store")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("chroma")
    command = [str(program), "run", "--path", str(store), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {**os.environ, "ANONYMIZED_TELEMETRY": "False", "DO_NOT_TRACK": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=quiet, cwd=store.parent
    ) as server:
        try:
            _answers(server, f"http://127.0.0.1:{port}/api/v2/heartbeat")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def _answers(server: subprocess.Popen[bytes], address: str) -> None:
    for _ in range(480):
        assert server.poll() is None, server.stdout and server.stdout.read()
        try:
            with build_opener(ProxyHandler({})).open(address, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.25)
    pytest.fail("the server did not answer within two minutes")


def test_a_collection_over_http_is_a_source(
    address: str, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody but the server that was named is asked
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM embeddings WHERE id <= 5")
        database.execute(
            "UPDATE embedding_metadata SET string_value = 'x' WHERE key = 'chroma:document' AND id = 9"
        )

    found = told(store, f"{address}/terms")

    assert (found["in_source"], found["shared"], found["vectors_compared"]) == (300, 295, 295)
    assert found["only_in_source"]["count"] == 5
    assert found["other_document"]["count"] == 1
    assert found["other_vector"]["count"] == 0
    assert found["farthest"] <= 1e-6


def test_a_collection_that_the_server_does_not_have_is_one_sentence(address: str, sample: Sample) -> None:
    with pytest.raises(UsageError, match="the server does not give it: Not Found"):
        told(sample("1.5.9/healthy"), f"{address}/gone")


def test_vectors_over_http_repair_a_store(address: str, sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["oldest-lost"](store)

    plan = fx.plan(store, source=[f"{address}/terms"])

    added = next(action for action in plan.approved if action.kind == "add-missing-vectors")
    assert added.parameters["from_source"] == 40
    assert plan.options["source"] == [f"{address}/terms"]


def test_no_other_scheme_is_ever_asked(sample: Sample) -> None:
    for source in ("file:///etc/hostname", "ftp://127.0.0.1/terms"):
        with pytest.raises(UsageError, match="is no file that can be read"):
            told(sample("1.5.9/healthy"), source)
