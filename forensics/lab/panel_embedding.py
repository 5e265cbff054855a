"""The controls of the repair panel that are about embedding documents again."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

from forensics.lab.panel_parts import check, text

WORD = "unverified"
"""What is typed where no vector survives that could confirm the embedder."""


class EmbeddingControls:
    """By what, how fast and at what price documents are embedded again."""

    def __init__(self, embedder: str | None) -> None:
        self.embedder = text(
            "embedder",
            "module:callable",
            "embeds documents again, once it has reproduced vectors that survived",
            embedder or "",
        )
        self.unverified = text(
            "where no vector survives that could prove it",
            f"type {WORD} to use it all the same",
            "the plan says so; nothing can confirm the model",
        )
        self.batch_size = text("documents in one call", "256", "batch_size of the embedder")
        self.per_minute = text("calls in a minute", "as fast as it answers", "what the service allows")
        self.price = text("price of a million tokens", "not reckoned", "what the plan reckons with")
        self.stop_at_failed = check(
            "change nothing where one document cannot be embedded",
            "else the others are repaired, and it is listed with its reason",
        )

    @property
    def fields(self) -> list[w.Widget]:
        """Every control but the embedder's own."""
        return [self.unverified, self.batch_size, self.per_minute, self.price, self.stop_at_failed]

    def chosen(self) -> dict[str, Any]:
        """The arguments of `fx.plan` as the controls stand. Raises ValueError for what is no number."""
        batch, pace, price = (field.value.strip() for field in (self.batch_size, self.per_minute, self.price))
        return {
            "embedder": self.embedder.value.strip() or None,
            "unverified_embedder": self.unverified.value.strip().lower() == WORD,
            "batch_size": int(batch) if batch else None,
            "requests_per_minute": float(pace) if pace else None,
            "price_per_million_tokens": float(price) if price else None,
            "stop_at_failed_record": self.stop_at_failed.value,
        }
