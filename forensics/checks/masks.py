"""What necessarily follows from what: a masked check is not run, and its code is listed in the finding's `follows`."""

from __future__ import annotations

from forensics.codes import catalogue


def _span(first: str, last: str) -> tuple[str, ...]:
    return tuple(code for code in catalogue() if first <= code <= last)


_ROWS_NEEDED = (
    *_span("CF106", "CF112"),
    *_span("CF201", "CF214"),
    *_span("CF501", "CF505"),
    *_span("CF701", "CF708"),
    *_span("CF801", "CF813"),
)
_DATABASE_NEEDED = (*_span("CF006", "CF008"), "CF103", "CF105", "CF107", *_ROWS_NEEDED)
_ID_MAP_LOST = (*_span("CF406", "CF412"), "CF206", "CF309", "CF310", "CF502", "CF503", "CF504", "CF505")

MASKS: dict[str, tuple[str, ...]] = {
    "CF001": tuple(
        code for code in catalogue() if code not in ("CF001", "CF010", "CF011") and not code.startswith("CF9")
    ),
    "CF002": tuple(code for code in catalogue() if code[:3] in ("CF1", "CF2", "CF8"))
    + _span("CF006", "CF008"),
    "CF003": (*_DATABASE_NEEDED, "CF101", "CF102", "CF104"),
    "CF101": (*_DATABASE_NEEDED, "CF102", "CF104"),
    "CF102": (*_span("CF006", "CF008"), "CF107", *_ROWS_NEEDED),
    "CF104": (*_DATABASE_NEEDED, "CF102"),
    "CF110": tuple(code for code in catalogue() if code[:3] in ("CF3", "CF4", "CF5", "CF6")),
    "CF301": (*_span("CF302", "CF312"), *_span("CF401", "CF412"), "CF504", "CF505", *_span("CF601", "CF609")),
    "CF302": ("CF204", "CF304", "CF305", "CF306", "CF307", "CF311"),
    "CF303": (
        "CF204",
        "CF304",
        "CF305",
        "CF306",
        "CF307",
        "CF308",
        "CF311",
        "CF408",
        "CF409",
        "CF410",
        "CF411",
        *_span("CF601", "CF609"),
    ),
    "CF304": ("CF204", "CF408"),
    "CF306": ("CF605", "CF606"),
    "CF401": (*_ID_MAP_LOST, *_span("CF402", "CF405")),
    "CF402": (*_ID_MAP_LOST, *_span("CF403", "CF405")),
    "CF403": (*_ID_MAP_LOST, "CF404", "CF405"),
    "CF404": (*_ID_MAP_LOST, "CF405"),
    "CF405": _ID_MAP_LOST,
    "CF811": ("CF504", "CF608", "CF706"),
    **dict.fromkeys(("CF601", "CF602", "CF603", "CF605", "CF609"), ("CF606",)),
}

_ROWS = ("CF101", "CF102", "CF104", "CF110")
_FILES = ("CF302", "CF303", "CF304")
_ID_MAP = _span("CF401", "CF405")

EXPLAINS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("header", "geometry", "level0", "summary", "lengths", "links"), _FILES),
    "id_map": _ID_MAP,
    **dict.fromkeys(("records", "id_sets"), (*_ID_MAP, *_FILES, *_ROWS)),
    **dict.fromkeys(("rows", "segment"), _ROWS),
}
"""need → the codes that say why it is absent. A check that lacks it is then masked by that finding, not skipped.

What may not be read (CF010) or is no file (CF011) is not among them: what it holds was not examined.
"""
