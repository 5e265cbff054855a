"""Files to begin with: embedders that can be copied and changed."""

from __future__ import annotations

from pathlib import Path

from forensics.errors import UsageError

FOLDER = Path(__file__).parent / "embedders"
NAMES = ("chromadb-default", "openai", "sentence-transformers")


def templates() -> tuple[str, ...]:
    """The names of the embedders that there are templates of."""
    return NAMES


def template_text(name: str) -> str:
    """The text of that template. Raises UsageError for another name."""
    if name not in templates():
        raise UsageError(f"There is no template {name!r}; there are: {', '.join(templates())}.")
    return (FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
