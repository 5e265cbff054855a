"""Builds real stores: an engine process of any release, and a model of what it acknowledged.

with StoreBuilder(path, release_python("1.2.1")) as store:
    store.create("terms", space="l2", sync_threshold=20)
    store.add("terms", records()[:100])
store.truth()    # what its user believes, never read back from the store
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from forensics.testing.nursery import forked
from forensics.testing.outage import attach
from forensics.testing.texts import Record, Scalar

_ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0


class EngineRaised(Exception):
    """The engine answered with an exception; `type` and `message` are its own words."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(f"{type}: {message}")
        self.type, self.message = type, message


class EngineDied(Exception):
    """The engine process ended without an answer; `how` is the name of the signal or the exit status."""

    def __init__(self, how: str) -> None:
        super().__init__(f"the engine died: {how}")
        self.how = how


class EngineHung(Exception):
    """The engine gave no answer in time; its process was killed."""


class Engine:
    """One engine process on one store; `prefix` is put before the command (a limit, another user); `watched` are the
    options of a strace that is attached to it."""

    def __init__(
        self,
        store: Path,
        python: Path | str = sys.executable,
        *,
        prefix: Sequence[str] = (),
        watched: Sequence[str] = (),
    ) -> None:
        command = [*prefix, str(python), "-m", "forensics.testing.engine_child", str(store)]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONHASHSEED": "0"}
        self.process = (None if prefix else forked(str(python), store, environment)) or subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=_ROOT,
            start_new_session=True,
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._watcher = attach(self.call("ready"), watched) if watched else None

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def call(self, name: str, *, timeout: float = TIMEOUT, **arguments: Any) -> Any:
        """The engine's answer. Raises EngineRaised, EngineDied or EngineHung."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"call": name, **arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise EngineDied(self._how()) from None
        answer = self._answer(timeout)
        if "error" in answer:
            raise EngineRaised(**answer["error"])
        return answer["value"]

    def _answer(self, timeout: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            raise EngineHung(f"no answer within {timeout} s") from None
        if not line:
            raise EngineDied(self._how())
        return json.loads(line)

    def _how(self) -> str:
        status = self.process.wait(timeout=TIMEOUT)
        # a shell or strace around the engine reports a signal as 128 + its number
        number = -status if status < 0 else status - 128
        return signal.Signals(number).name if 0 < number < 65 else f"exit {status}"

    def kill(self) -> None:
        """SIGKILL, also of what `prefix` started, and waits for the end."""
        if hasattr(os, "killpg") and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Lets the process end by itself (nothing is flushed then) and waits for it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # it is dead already, which is what closing wants
            self.process.stdin = None
        self.process.wait(timeout=TIMEOUT)
        if self._watcher is not None:
            self._watcher.communicate(timeout=TIMEOUT)
        self._reader.join(timeout=TIMEOUT)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._answers.put("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Model:
    """What the user of a store believes after the operations that were acknowledged."""

    def __init__(self) -> None:
        self.settings: dict[str, dict[str, Any]] = {}
        self.records: dict[str, dict[str, Record]] = {}
        self.in_doubt: dict[str, list[Record]] = {}

    def create(self, collection: str, settings: dict[str, Any]) -> None:
        """An empty collection."""
        self.settings[collection] = dict(settings)
        self.records[collection] = {}
        self.in_doubt[collection] = []

    def write(self, collection: str, how: str, records: Sequence[Record]) -> None:
        """`add` of an existing id and `update` of a missing one change nothing."""
        known = self.records[collection]
        for record in records:
            if how == "upsert" or (how == "add") != (record.id in known):
                known[record.id] = record

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Missing ids are ignored."""
        for id in ids:
            self.records[collection].pop(id, None)

    def update_metadata(self, collection: str, changes: dict[str, dict[str, Scalar]]) -> None:
        """Merges metadata into existing records."""
        known = self.records[collection]
        for id in changes.keys() & known.keys():
            old = known[id]
            known[id] = Record(old.id, old.document, old.metadata | changes[id])

    def as_json(self) -> dict[str, Any]:
        """Per collection: settings, records, and those of a write that was never acknowledged."""
        return {
            name: {
                "settings": self.settings[name],
                "records": [as_json(record) for record in self.records[name].values()],
                "in_doubt": [as_json(record) for record in self.in_doubt[name]],
            }
            for name in self.records
        }


def as_json(record: Record) -> dict[str, Any]:
    """The record as plain data."""
    return {"id": record.id, "document": record.document, "metadata": record.metadata}


class StoreBuilder:
    """A store under construction: each call goes to the engine and, once acknowledged, into the model."""

    def __init__(self, store: Path, python: Path | str = sys.executable, model: Model | None = None) -> None:
        self.store, self.python = Path(store), python
        self.model = model or Model()
        self.engine = Engine(self.store, python)

    def create(self, collection: str, **settings: Any) -> None:
        """Makes a collection; settings: space, sync_threshold, batch_size, M, ef_construction."""
        self.engine.call("create", collection=collection, **settings)
        self.model.create(collection, settings)

    def add(self, collection: str, records: Sequence[Record], *, how: str = "add", step: int = 0) -> None:
        """Writes records, `step` at a time (0: all in one call)."""
        step = step or max(len(records), 1)
        for start in range(0, len(records), step):
            part = records[start : start + step]
            rows = [as_json(record) for record in part]
            self.engine.call("write", collection=collection, how=how, records=rows)
            self.model.write(collection, how, part)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Deletes records."""
        self.engine.call("delete", collection=collection, ids=list(ids))
        self.model.delete(collection, ids)

    def update_metadata(self, collection: str, changes: dict[str, dict[str, Scalar]]) -> None:
        """Merges metadata, without a vector."""
        ids = list(changes)
        self.engine.call(
            "update_metadata", collection=collection, ids=ids, metadatas=[changes[i] for i in ids]
        )
        self.model.update_metadata(collection, changes)

    def restart(self, python: Path | str | None = None, *, watched: Sequence[str] = ()) -> None:
        """A new engine process, of another release if one is given; `watched` as for Engine."""
        self.engine.close()
        self.python = python or self.python
        self.engine = Engine(self.store, self.python, watched=watched)

    def peer(self) -> StoreBuilder:
        """A second process on the same store, with the same model."""
        return StoreBuilder(self.store, self.python, self.model)

    def truth(self) -> dict[str, Any]:
        """What the user believes to be stored, per collection."""
        return self.model.as_json()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()
