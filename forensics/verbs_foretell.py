"""The verb `foretell`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from forensics.selection import select
from forensics.store import Store
from forensics.verbs_inputs import StoreLike, release_names, store_of

if TYPE_CHECKING:
    from forensics.foretell.telling import Foretelling

FORETOLD = "foretold.json"
DEFAULT = "1.5.9"


def foretell(
    store: StoreLike,
    release: str | Sequence[str] = DEFAULT,
    *,
    collection: str | None = None,
    segment: str | None = None,
    case: Any = None,
) -> Foretelling:
    """What each call of that release (or of several) would return, raise or destroy on the store as it stands.

    From the files alone: no engine is started and nothing is written. With `case` it is kept there, as
    `foretold.json`.
    """
    releases = [release] if isinstance(release, str) else list(release) or [DEFAULT]
    release_names(releases)
    with store_of(store) as opened:
        chosen = select(opened, collection, segment)
        if case is None:
            return _told(opened, releases, chosen)
        from forensics.verbs_case import filling

        with filling(case, opened.path, applied_too=True) as folder:
            found = _told(opened, releases, chosen)
            folder.write_json(FORETOLD, found.to_json())
    return found


def _told(store: Store, releases: Sequence[str], chosen: str | None) -> Foretelling:
    from forensics.foretell.telling import Foretelling, tell

    wanted = None if chosen is None else [store.collection(chosen)]
    told = tuple(one for release in releases for one in tell(store, release, wanted))
    return Foretelling(str(store.path), told)
