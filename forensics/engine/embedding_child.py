"""chromadb's own embedding functions in a child: one JSON request per line in, one JSON answer per line out. Opens no store
and knows nothing of this package.

{"build": name, "config": {…}} · {"texts": […]} → {"shape", "vectors"} (base64 of float32) · {"count": […]} → {"tokens"}.
What is raised is answered by {"error": {"type", "kinds", "text", "status", "retry_after"}}. It ends with its input.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from importlib import import_module
from typing import Any

CLASSES = {
    "default": "ONNXMiniLM_L6_V2",
    "onnx_mini_lm_l6_v2": "ONNXMiniLM_L6_V2",
    "sentence_transformer": "SentenceTransformerEmbeddingFunction",
    "openai": "OpenAIEmbeddingFunction",
}
ONNX = "ONNXMiniLM_L6_V2"


class Child:
    """One embedding function, once it is built."""

    def __init__(self) -> None:
        self.function: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "build" in request:
            return self.build(request["build"], request["config"])
        return self.embed(request["texts"]) if "texts" in request else self.count(request["count"])

    def build(self, name: str, config: dict[str, Any]) -> dict[str, Any]:
        import chromadb.utils.embedding_functions as functions

        made = getattr(functions, CLASSES[name])
        onnx = CLASSES[name] == ONNX
        self.function = made(["CPUExecutionProvider"]) if onnx else made.build_from_config(config)
        return {"built": name}

    def embed(self, texts: list[str]) -> dict[str, Any]:
        import numpy as np

        made = np.ascontiguousarray(np.array([np.asarray(row) for row in self.function(texts)]), dtype="<f4")
        return {"shape": made.shape, "vectors": base64.b64encode(made.tobytes()).decode("ascii")}

    def count(self, texts: list[str]) -> dict[str, Any]:
        """By the tokenizer of the model, where the function has one here."""
        model = getattr(self.function, "_model", None)
        if model is not None:
            return {"tokens": [len(row) for row in model.tokenizer(texts)["input_ids"]]}
        if hasattr(self.function, "tokenizer"):
            return {
                "tokens": [sum(row.attention_mask) for row in self.function.tokenizer.encode_batch(texts)]
            }
        encoding = import_module("tiktoken").encoding_for_model(self.function.model_name)
        return {"tokens": [len(encoding.encode(text, disallowed_special=())) for text in texts]}


def error_of(error: BaseException) -> dict[str, Any]:
    """What the other side needs to know whether to ask again."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None)
    status = getattr(error, "status_code", getattr(response, "status_code", None))
    return {
        "type": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "text": str(error)[:2000],
        "status": status if isinstance(status, int) else None,
        "retry_after": headers.get("retry-after") if headers is not None else None,
    }


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    child = Child()
    for line in sys.stdin:
        try:
            found = child.answer(json.loads(line))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is the answer
            found = {"error": error_of(error)}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
