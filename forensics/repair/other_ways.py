"""What else could be done about a finding than what the planner proposes, and why it is not: as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class OtherWay:
    """A way that the plan never takes by itself. `writes`: what of the store would be written anew."""

    kind: str
    title: str
    why: str
    writes: Literal["", "database", "index", "segment"] = ""


_FLATTEN = OtherWay(
    "flatten-links",
    "Drop all upper levels: an empty list for each element",
    "it is quick, but the upper levels that are whole would be lost, and every search starts far away",
    "segment",
)
_GUESS = OtherWay(
    "guess-by-order",
    "Give the labels to the records in the order of their rows",
    "no id map is ever guessed: without proof a record can get the vector of another",
)
_DROP_ROWS = OtherWay(
    "delete-rows",
    "Delete the rows",
    "what is deleted cannot be put back; the case keeps what is moved there",
    "database",
)
_COPY_ROWS = OtherWay(
    "copy-rows",
    "Copy every row into a fresh database",
    "the rows are whole; only what is damaged is made anew",
    "database",
)
_TEXT_FROM_INDEX = OtherWay(
    "text-from-index",
    "Take the documents from the full-text index",
    "the rows of embedding_metadata are what Chroma returns; the index follows them",
    "database",
)
_RENUMBER = OtherWay(
    "lower-watermarks",
    "Lower both watermarks to the end of the queue",
    "before 1.0 a 0 skips the queue, and what was applied would be applied again",
    "database",
)
_READ_AGAIN = OtherWay(
    "remove-watermark",
    "Remove the watermark, so that the whole queue is read again",
    "releases before 1.0 fail without one, and rows that were applied would be applied twice",
    "database",
)
_RESTORE = OtherWay(
    "resurrect",
    "Make records of these ids again",
    "SQLite does not hold them, so Chroma has deleted them; no id is ever brought back from an index alone",
    "database",
)
_TAKE_NORM = OtherWay(
    "norms-of-one",
    "Set every norm to 1",
    "norms that the queue still has would be lost; cosine searches are the same, get gives shorter vectors",
    "segment",
)

_OF_IDS = (
    OtherWay(
        "keep-ids",
        "Leave the malformed ids as they are (--ids keep)",
        "who asks for such an id as it is read goes on finding nothing",
    ),
    OtherWay(
        "delete-ids",
        "Delete the records with malformed ids (--ids delete)",
        "the records are whole; only their ids are not",
        "database",
    ),
    OtherWay(
        "trim-ids",
        "Trim the ids (--ids trim)",
        "you chose otherwise, or each would be the id of another record",
        "database",
    ),
)

OTHER_WAYS: Mapping[str, tuple[OtherWay, ...]] = {
    **dict.fromkeys(("CF306", "CF307", "CF605"), (_FLATTEN,)),
    **dict.fromkeys(("CF401", "CF402", "CF403", "CF404", "CF405"), (_GUESS,)),
    **dict.fromkeys(("CF108", "CF109", "CF208", "CF209"), (_DROP_ROWS,)),
    **dict.fromkeys(("CF103", "CF106"), (_COPY_ROWS,)),
    **dict.fromkeys(("CF105", "CF107", "CF214"), (_TEXT_FROM_INDEX,)),
    "CF202": (_RENUMBER,),
    **dict.fromkeys(("CF203", "CF204"), (_READ_AGAIN,)),
    "CF503": (_RESTORE,),
    "CF701": _OF_IDS,
    **dict.fromkeys(("CF305", "CF312"), (_TAKE_NORM,)),
}

LEFT_ALONE: Mapping[str, str] = {
    "CF705": "no other vector of these records is known, and an embedder that reproduces the others was not given",
    "CF111": "the tool does not guess which of two collections of one name is the right one",
    "CF703": "the tool does not guess which of two rows of one id is the right one",
    "CF702": "ids that differ in a blank can be two records that are meant to be two",
    "CF801": "the store is sound; a newer client, or --target-chromadb, opens it",
    "CF807": "the space decides what a distance means, and only its owner knows which was meant",
    "CF810": "which of two embedders is the right one only its owner knows; embed the records of the other one again",
}
"""Why nothing is done about a code, where the finding's own remedy does not say it."""
