"""The verb that tries an embedder on a store, and gives templates of embedders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.errors import UsageError
from forensics.readers.shelf import shelf
from forensics.selection import select
from forensics.verbs_inputs import StoreLike, check_inputs, store_of

if TYPE_CHECKING:
    from forensics.embedder_check import EmbedderCheck


@shelf()
def embedder(
    store: StoreLike | None = None,
    embedder: str | None = None,
    *,
    check: bool = True,
    template: str | None = None,
    batch_size: int | None = None,
    requests_per_minute: float | None = None,
    collection: str | None = None,
    segment: str | None = None,
    metadata_segment: str | None = None,
    case: Any = None,
) -> EmbedderCheck | str:
    """Whether that embedder reproduces what survives in the store; with `template`, the text of that template instead.

    Nothing is written, but with `case` the answer, as `embedder.json`. Raises UsageError where nothing is asked for.
    """
    if template is not None:
        from forensics.templates import template_text

        return template_text(template)
    if store is None or embedder is None or not check:
        raise UsageError("Say which store, which --embedder, and --check it; or --template NAME.")
    from forensics.embedder_check import check_embedder
    from forensics.repair.options import RepairOptions

    chosen = RepairOptions(embedder=embedder, batch_size=batch_size, requests_per_minute=requests_per_minute)
    check_inputs(embedder, (), ())
    with store_of(store) as opened:
        wanted = select(opened, collection, segment, metadata_segment)
        if case is None:
            return check_embedder(opened, chosen, wanted)
        from forensics.verbs_case import filling

        with filling(case, opened.path, applied_too=True) as folder:
            found = check_embedder(opened, chosen, wanted)
            folder.write_json("embedder.json", found.to_json())
    return found
