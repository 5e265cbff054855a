"""Small DataFrames for the notebooks: views of what the core measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forensics.absent import Absent
from forensics.breakdown import Breakdown, by_metadata, by_prefix
from forensics.report.plain import visible

if TYPE_CHECKING:
    import pandas as pd

    from forensics.store import Collection, VectorSegment


def calls(probe: Mapping[str, Any]) -> pd.DataFrame:
    """One row per API call: what it did, how far it reached, whether it is safe until the repair."""
    import pandas as pd

    rows = [
        {
            "collection": one["name"],
            "call": call["code"],
            "verdict": call["verdict"],
            "reaches": "" if call["reaches"] is None else f"{call['reaches']:,} of {call['of']:,}",
            "safe to use": "yes" if call["safe_to_use"] else "no",
            "detail": visible(str(call["detail"]))[:110],
        }
        for one in probe["collections"]
        for call in one["calls"]
    ]
    return pd.DataFrame(rows)


def culprits(collection: Collection, limit: int = 10) -> pd.DataFrame:
    """The first records that `peek` would return and that have no vector, and why."""
    import pandas as pd

    from forensics.probing import trace

    rows = [{"position": item["position"], "id": visible(item["id"]), "why": item["why"]} for item in trace(collection, limit)]
    return pd.DataFrame(rows, columns=["position", "id", "why"])


def header_fields(segment: VectorSegment) -> pd.DataFrame:
    """header.bin field by field; or why it cannot be read."""
    import pandas as pd

    header = segment.files.header
    if isinstance(header, Absent):
        return pd.DataFrame([{"field": "header.bin", "value": header.reason}])
    return pd.DataFrame([{"field": name, "value": f"{getattr(header, name):,}"} for name in header.__slots__])


def files(segment: VectorSegment) -> pd.DataFrame:
    """The files of a segment: apparent and allocated bytes."""
    import pandas as pd

    rows = [
        {"file": name, "bytes": "absent" if isinstance(facts, Absent) else f"{facts.size:,}", "allocated": "" if isinstance(facts, Absent) else f"{facts.allocated:,}"}
        for name, facts in segment.facts.items()
    ]
    return pd.DataFrame(rows)


def layers(collection: Collection) -> pd.DataFrame:
    """How many ids each layer holds."""
    import pandas as pd

    records, id_map, vector = collection.records, collection.id_map, collection.vector
    queue = collection.queue.extent()
    rows = [
        ("SQLite: rows of embeddings", None if isinstance(records, Absent) else len(records)),
        ("id map: ids with a label", len(getattr(id_map, "id_to_label", ())) or _reason(id_map)),
        ("level 0: elements", "none" if isinstance(vector, Absent) else vector.files.elements),
        ("level 0: of these flagged deleted", None if isinstance(records, Absent) else records.deleted),
        ("queue: rows kept", queue.reason if isinstance(queue, Absent) else queue.rows),
        ("queue: rows above the vector watermark", _count(collection.pending_rows)),
    ]
    return pd.DataFrame([{"layer": name, "ids": f"{value:,}" if isinstance(value, int) else str(value)} for name, value in rows])


def _reason(value: object) -> object:
    return value.reason if isinstance(value, Absent) else 0


def _count(rows: object) -> object:
    return rows.reason if isinstance(rows, Absent) else len(rows)  # pyright: ignore[reportArgumentType]


def missing_by_prefix(collection: Collection) -> pd.DataFrame:
    """The missing ids by the prefix that their separator marks off."""
    records = collection.records
    if isinstance(records, Absent) or not records.known:
        return _groups({})
    return _groups({"prefix": by_prefix(records.ids(records.missing), records.rows.ids)})


def missing_by_metadata(collection: Collection) -> pd.DataFrame:
    """The missing ids by each metadata key."""
    records = collection.records
    if isinstance(records, Absent) or not records.known:
        return _groups({})
    return _groups(by_metadata(collection.database, records.rows.rowids[records.missing].tolist()))


def _groups(found: Mapping[str, Breakdown]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {"by": key, "value": visible(group.name), "missing": group.count, "of": "" if group.of is None else group.of}
        for key, breakdown in found.items()
        for group in breakdown.top
    ]
    return pd.DataFrame(rows, columns=["by", "value", "missing", "of"])
