"""Where vectors come from, as figures and in words, for the actions of a plan."""

from __future__ import annotations

from forensics.repair.holdings import CLAIMED, EMBED, FLAGGED, INDEXED, LOST, PENDING, PROVED, USER
from forensics.repair.site import Site
from forensics.sources import Sources


def how_many(site: Site) -> dict[str, int]:
    """How many vectors come from where, for the plan."""
    holdings = site.holdings
    if holdings is None:
        return {}
    out = (
        {}
        if holdings.sources is None
        else {k: v for k, v in holdings.sources.counts().items() if k != "none"}
    )
    counts = holdings.counts()
    extra = {
        "reembedded": counts.get(EMBED, 0),
        "lost": counts.get(LOST, 0),
        "possibly_older": _older(holdings.sources),
    }
    return {"from_" + kind.replace("-", "_"): count for kind, count in out.items()} | extra


def _older(sources: Sources | None) -> int:
    """How many vectors of other directories may be older than their records."""
    return 0 if sources is None else int((sources.found & ~sources.current & (sources.kind != USER)).sum())


def from_where(site: Site, *, whole: bool = False) -> str:
    """ "12 from the queue, 40 embedded again"; of the whole index also what level 0 and the queue hold."""
    holdings = site.holdings
    if holdings is None:
        return ""
    words = {
        "queue": "from the queue",
        "set-aside": "from a set-aside directory",
        "orphan": "from an orphan directory",
    }
    words |= {"stray": "left behind the last counted element of level 0"}
    words |= {"other-collection": "from the directory of another collection"}
    words |= {
        "also": "from another copy",
        "also-queue": "from the queue of another copy",
        "source": "from your source",
    }
    counts = {} if holdings.sources is None else holdings.sources.counts()
    parts = [f"{count} {words[kind]}" for kind, count in counts.items() if kind in words]
    states = holdings.counts()
    level0 = sum(states.get(state, 0) for state in (INDEXED, FLAGGED, PROVED, CLAIMED))
    doubt = ", unverified" if is_unverified(site) else ""
    parts += [f"{states[EMBED]} embedded again{doubt}"] if states.get(EMBED) else []
    held = f"{level0} in level 0 and {states.get(PENDING, 0)} in the queue"
    text = ", ".join([held, *parts] if (whole and level0) or not parts else parts)
    older = _older(holdings.sources)
    return f"{text} ({older} of them possibly older than the record)" if older else text


def is_unverified(site: Site) -> bool:
    """True where documents are embedded again although no surviving vector proves the embedder."""
    holdings = site.holdings
    if holdings is None or not holdings.mask(EMBED).any():
        return False
    return holdings.trial is None or not holdings.trial.passed
