"""The controls of the repair panel: every option of a plan, of its execution and of its undo, with a word on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from forensics.lab.panel_embedding import EmbeddingControls
from forensics.lab.panel_parts import NATURAL, check, layout, listed, text

if TYPE_CHECKING:
    from forensics.lab.session import Session

ALL = "all of them"
NUMBERS = ("M", "ef_construction", "max_elements", "threads")


def _whole(typed: str) -> int | None:
    """The number; None where nothing is typed. Raises ValueError for what is none."""
    return int(typed) if typed.strip() else None


class Options(w.Accordion):
    """Four folded groups: where vectors may come from, what may be done, how it is carried out, how it embeds."""

    def __init__(self, session: Session, names: Sequence[tuple[str, str]]) -> None:
        self._sources(session)
        self._scope(names)
        self._execution()
        groups = [
            w.VBox([self.embedder, self.also, self.source]),
            w.VBox(
                [
                    self.collection,
                    self.ids,
                    self.accept_loss,
                    self.also_fix,
                    self.set_aside,
                    self.rebuild,
                    self.purge_queue,
                ]
            ),
            w.VBox(
                [
                    self.M,
                    self.ef_construction,
                    self.max_elements,
                    self.threads,
                    self.add,
                    self.search_all,
                    self.engine,
                    self.target,
                    self.to,
                    self.in_place,
                    self.nobody_else,
                ]
            ),
            w.VBox(self.embedding.fields),
        ]
        titles = (
            "Where vectors may come from",
            "What may be done",
            "How it is carried out",
            "How documents are embedded again",
        )
        super().__init__(groups, titles=titles, selected_index=None)

    def _sources(self, session: Session) -> None:
        self.embedding = EmbeddingControls(session.embedder)
        self.embedder = self.embedding.embedder
        self.also = text(
            "another copy of the store",
            "path, path …",
            "vectors are taken from there where none is left here",
        )
        self.source = text("your own vectors", "file, file …", "Parquet, npz or JSONL with ids and vectors")

    def _scope(self, names: Sequence[tuple[str, str]]) -> None:
        choices = [(ALL, ""), *names]
        self.collection = w.Dropdown(
            options=choices,
            description="collection",
            tooltip="or its segment",
            style=NATURAL,
            layout=layout("34em"),
        )
        self.ids = w.Dropdown(
            options=["trim", "delete", "keep"],
            description="ids with white space at their ends",
            tooltip="trim in every layer, delete the records, or leave them",
            style=NATURAL,
            layout=layout("34em"),
        )
        self.accept_loss = text("accept the loss of", "CF501, …", "codes whose remedy discards something")
        self.also_fix = text(
            "tidy up as well", "CF006, …", "housekeeping, after a verification without findings"
        )
        self.set_aside = check(
            "move records without a vector into the case", "peek works again at once; they can be restored"
        )
        self.purge_queue = check(
            "delete queue rows that the repaired index holds",
            "only rows that both segments have applied, their vectors bit for bit in the index",
        )
        self.rebuild = text(
            "build the index again of",
            "collection, … or *",
            "whatever is found, of every vector there is; * means every collection",
        )

    def _execution(self) -> None:
        room = "max_elements of a touched index, never below its records"
        self.max_elements = text("capacity of the index", "its records and 10 %", room)
        self.threads = text(
            "threads",
            "all cores for a new index, 1 to add to one",
            "1 gives the same files every time",
        )
        self.M = text("M of a new index", "as it is", "neighbours of an element; written to the settings too")
        self.ef_construction = text(
            "ef_construction of a new index", "as it is", "the care with which it is built; as above"
        )
        self.add = w.Dropdown(
            options=[("as memory allows", ""), ("by hnswlib", "native"), ("on mapped files", "mapped")],
            description="add missing vectors",
            tooltip="hnswlib loads the index whole; the memory-mapped files need less memory and more time",
            style=NATURAL,
            layout=layout("34em"),
        )
        self.engine = text(
            "verify with chromadb",
            "the one installed",
            "the release that verifies, such as 1.2.1; none: our own checks alone",
        )
        self.target = text(
            "make it a store of chromadb",
            "as it is",
            "an older release, such as 1.0.20, that has to open it; what it does not know is taken away",
        )
        self.to = text(
            "write a repaired copy to", "leave the store alone", "a folder that does not exist yet"
        )
        self.in_place = text(
            "change the index where it stands",
            "undo file on another disk",
            "only where a draft has no room beside the store, and never the database",
        )
        self.search_all = check(
            "search every vector by itself, not only those that the repair could have cost a link",
            "takes longer",
        )
        self.nobody_else = check(
            "nobody else uses this store",
            "say so where the system cannot show it: containers, NFS, cloud folders",
        )

    @property
    def fields(self) -> tuple[w.Widget, ...]:
        """Every control."""
        return tuple(control for group in self.children for control in group.children)

    def of_the_plan(self) -> dict[str, Any]:
        """The arguments of `fx.plan` as the controls stand. Raises ValueError for what should be a number and is none."""
        chosen = {"collection": self.collection.value} if self.collection.value else {}
        return {
            **chosen,
            **self.embedding.chosen(),
            "also": listed(self.also.value),
            "source": listed(self.source.value),
            "accept_loss": listed(self.accept_loss.value),
            "also_fix": listed(self.also_fix.value),
            "ids": self.ids.value,
            "set_aside_unsearchable": self.set_aside.value,
            "rebuild": listed(self.rebuild.value),
            **{name: _whole(getattr(self, name).value) for name in NUMBERS},
            "purge_queue": self.purge_queue.value,
            "add": self.add.value or None,
            "search_every_vector": self.search_all.value,
            "target_chromadb": self.target.value.strip() or None,
            "engine": self.engine.value.strip() or None,
        }

    def of_the_run(self) -> dict[str, Any]:
        """The arguments of `fx.apply`."""
        return {
            "to": self.to.value.strip() or None,
            "in_place": self.in_place.value.strip() or None,
            "nobody_else": self.nobody_else.value,
            "engine": self.engine.value.strip() or None,
        }
