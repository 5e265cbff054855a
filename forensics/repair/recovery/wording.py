"""What a plan says of a database that it makes anew, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forensics.model import Json
from forensics.repair.recovery.directories import lacking
from forensics.words import counted

SOURCES = (
    ("from_stray_pages", "pages that no table reaches any more"),
    ("from_indexes", "indexes and other tables"),
)


def why_recovered(report: Mapping[str, Json]) -> str:
    """How many rows came from where, and how many did not come back."""
    tables: Mapping[str, Mapping[str, Json]] = report["tables"]
    parts = [f"{sum(row['kept'] for row in tables.values()):,} rows are read from their tables"]
    for name, words in SOURCES:
        count = sum(row[name] for row in tables.values())
        parts += [f"{count:,} from {words}"] if count else []
    lost = ", ".join(f"{row['lost']:,} of {name}" for name, row in tables.items() if row["lost"])
    parts.append(f"lost with their pages: {lost}" if lost else "no row is known to be lost")
    unknown = [name for name, row in tables.items() if row["lost"] is None]
    parts += [f"of {', '.join(unknown)} nothing tells how many rows are gone"] if unknown else []
    doubtful = ", ".join(f"{row['doubtful']:,} of {name}" for name, row in tables.items() if row["doubtful"])
    parts += [f"left out, since they may be those of another database: {doubtful}"] if doubtful else []
    judged = [f"{row['name']}: {row['why']}" for row in report["settings_judged"]]
    parts += [f"settings judged by the vectors ({'; '.join(judged)})"] if judged else []
    return "; ".join(parts) + "; the damaged file is kept with the original"


def why_catalogued(report: Mapping[str, Json]) -> str:
    """Which collections there will be, what they lack, and on what their space rests."""
    return "; ".join(_collection(row) for row in report["collections"])


def why_restored(report: Mapping[str, Json]) -> str:
    """What shows which id had which rowid, and how many ids are refused."""
    parts = [
        f"{row['collection']}: {counted(count, 'record')}, shown by this: {proof}"
        for row in report["restored"]
        for proof, count in row["proofs"].items()
    ]
    refused = report["refused"]
    parts += (
        [f"{counted(refused, 'id')} without a proof stay refused, and are listed in the case"]
        if refused
        else []
    )
    return "; ".join(parts)


def _collection(row: Mapping[str, Json]) -> str:
    bare = row["records"] - row["documents"]
    copy = ", named by another copy of the store" if row["from_copy"] else ""
    text = f"{counted(bare, 'records')} without a document" if bare else "every record has its document"
    return f"{row['name']} ({counted(row['records'], 'records')}{copy}): {text}; {row['why_that_space']}"


def lost_rows(report: Mapping[str, Json]) -> Iterator[dict[str, object]]:
    """A line of the plan's losses for each table that lost rows, and for each collection whose records have no document."""
    for table, row in report.get("tables", {}).items():
        if row["lost"] or row["lost"] is None:
            reason = f"rows of {table} stood on pages that are destroyed, and nothing else has them"
            count = {"count": row["lost"], "unit": "rows", "examples": row["examples"]}
            yield {"collection": None, "reason": reason, **count}
        if row.get("doubtful"):
            reason = f"rows of {table} are told in two ways or may be another database's; what is said is kept in the case"
            yield {
                "collection": None,
                "reason": reason,
                "count": row["doubtful"],
                "unit": "rows",
                "examples": [],
            }
    for name, count in lacking(report) if "collections" in report else ():
        reason = f"documents and metadata of {name} stood only in the database, which is gone"
        yield {"collection": None, "reason": reason, "count": count, "unit": "rows", "examples": []}
