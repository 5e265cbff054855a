"""Documents from the user's own sources, of records for which SQLite has none: they may be embedded only after those that
the sources give for surviving vectors have reproduced these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.repair.embedding import Trial, try_texts
from forensics.user_source import UserSource

if TYPE_CHECKING:
    from forensics.repair.site import Site


@dataclass(frozen=True, slots=True)
class OwnDocuments:
    """The sources that are believed, the best trial of the embedder on them, and why others are not."""

    sources: tuple[UserSource, ...] = ()
    trial: Trial | None = None
    refused: tuple[str, ...] = ()

    def places(self, ids: Sequence[str], texts: Iterable[str | None]) -> list[str]:
        """For each id the source that `fill` takes its document from; "" where it takes none."""
        return [
            "" if text else next((each.path for each in self.sources if _document(each, name)), "")
            for name, text in zip(ids, texts, strict=True)
        ]

    def fill(self, ids: Sequence[str], texts: Iterable[str | None]) -> list[str | None]:
        """`texts` of `ids`, with those of the sources where there is none."""
        return [text or self._of(name) for name, text in zip(ids, texts, strict=True)]

    def _of(self, name: str) -> str | None:
        return next((text for source in self.sources if (text := _document(source, name))), None)


def with_documents(sources: Iterable[UserSource]) -> tuple[UserSource, ...]:
    return tuple(source for source in sources if any(source.documents))


def believed_documents(site: Site) -> OwnDocuments:
    """The sources whose documents reproduce surviving vectors; those that share no id with one on a confirmation."""
    sources, embedder = with_documents(site.user_sources), site.embedder
    if embedder is None or not sources:
        return OwnDocuments()
    ids, raw = site.survivors
    scaled = site.collection.settings.space != "cosine"
    tried = [
        (each, try_texts(embedder, ids, [_document(each, name) for name in ids], raw, scaled=scaled))
        for each in sources
    ]
    good = tuple(each for each, trial in tried if _is_good(trial, site.options.unverified_embedder))
    refused = tuple(
        f"the documents of {each.path} were refused: {t.reason}" for each, t in tried if each not in good
    )
    best = max((trial for each, trial in tried if each in good), key=lambda t: bool(t.passed), default=None)
    return OwnDocuments(good, best, refused)


def _is_good(trial: Trial, unverified: bool) -> bool:
    return bool(trial.passed) or (trial.passed is None and unverified)


def _document(source: UserSource, name: str) -> str | None:
    row = source.rows.get(name)
    return None if row is None or not source.documents else source.documents[row]
