"""The embedding function that a collection's configuration names, built by chromadb's own class in a child.

A configuration comes with the store and is not trusted: only functions that are listed here are built, none with code of
its own, none from a folder, and none that would send documents and a key to a place that the user has not named.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache
from typing import Any

import numpy as np

from forensics.engine.child import HERE, QUIET
from forensics.errors import CannotComplete
from forensics.readers.embedding_function import EmbeddingFunction

KNOWN = ("default", "onnx_mini_lm_l6_v2", "sentence_transformer", "openai")
SECONDS = 1800.0
"""After which a call is given up; the first may download a model."""
HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")
KEYS = re.compile(r"\w*OPENAI\w*KEY\w*")
OPENAI = "https://api.openai.com/v1"


class Raised(Exception):
    """What the function raised in the child; `kinds` are the names of its class and of those above it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(f"{told['type']}: {told['text']}")
        self.kinds = tuple(told["kinds"])
        self.status_code, self.retry_after = told["status"], told["retry_after"]


class InChild:
    """callable(list[str]) -> (n, dim) float32, by that function in a child that is started at the first call."""

    def __init__(self, function: EmbeddingFunction) -> None:
        self.function = function
        self.child: subprocess.Popen[str] | None = None
        self._held = ExitStack()

    def __call__(self, texts: list[str]) -> np.ndarray:
        told = self._asked({"texts": texts})
        return np.frombuffer(base64.b64decode(told["vectors"]), dtype="<f4").reshape(told["shape"])

    def count_tokens(self, texts: list[str]) -> list[int]:
        """the model's own tokenizer"""
        return self._asked({"count": texts})["tokens"]

    def close(self) -> None:
        """The child is gone, and its folder."""
        self._held.close()
        self.child = None

    def _asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self.child is None:
            self.child = self._started()
            build = {"build": self.function.name, "config": dict(self.function.config)}
            told = self._line(build)
            if "error" in told:
                self.close()
                why = " ".join(told["error"]["text"].split()).rstrip(".")
                raise CannotComplete(
                    f"chromadb's embedding function {self.function.name} cannot be built: {why}."
                )
        told = self._line(request)
        if "error" in told:
            raise Raised(told["error"])
        return told

    def _started(self) -> subprocess.Popen[str]:
        folder = self._held.enter_context(tempfile.TemporaryDirectory(prefix="forensics-embedder-"))
        child = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "embedding_child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **QUIET},
            cwd=folder,
            text=True,
            encoding="utf-8",
        )
        self._held.enter_context(child)
        self._held.callback(child.kill)
        atexit.register(self.close)
        return child

    def _line(self, request: Mapping[str, Any]) -> dict[str, Any]:
        child = self.child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
            ready, _, _ = select.select([child.stdout], [], [], SECONDS)
            line = child.stdout.readline() if ready else ""
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            raise CannotComplete(
                f"The child with chromadb's embedding function {self.function.name} gave no answer"
                f" (status {child.returncode})."
            )
        return json.loads(line)


@lru_cache(maxsize=4)
def _in_child(name: str, config: str) -> InChild:
    return InChild(EmbeddingFunction(name, json.loads(config)))


def configured(function: EmbeddingFunction) -> InChild:
    """The callable; one child for equal configurations. Raises CannotComplete where it is not to be built."""
    why = refused(function)
    if why:
        raise CannotComplete(f"The embedding function of the configuration is not built: {why}.")
    return _in_child(function.name, json.dumps(dict(function.config), sort_keys=True))


def refused(function: EmbeddingFunction) -> str:
    """Why this configuration is not followed; empty where it can be."""
    config = function.config
    if function.name not in KNOWN:
        return (
            f"{function.name!r} is none of {', '.join(KNOWN)}; name your own with --embedder module:callable"
        )
    if function.name == "sentence_transformer":
        return _refused_model(str(config.get("model_name")), config.get("kwargs"))
    if function.name == "openai":
        return _refused_service(config.get("api_base"), str(config.get("api_key_env_var")))
    return ""


def _refused_model(name: str, more: Any) -> str:
    if more:
        return f"it gives sentence-transformers arguments of its own ({', '.join(sorted(more))})"
    if not HUB.fullmatch(name) or name.startswith(".") or "/." in name:
        return f"its model {name!r} is a folder, not a name on the hub"
    return ""


def _refused_service(base: Any, key: str) -> str:
    if not KEYS.fullmatch(key):
        return f"it asks for the environment variable {key}, which is not that of a key of OpenAI"
    if base not in (None, OPENAI, os.environ.get("OPENAI_BASE_URL")):
        return f"it would send documents and key to {base}; set OPENAI_BASE_URL to it where that is right"
    return ""
