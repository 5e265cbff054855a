"""The tables of README.md and the figure beside it, from the last figures of `repairing` and `sizes`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import kept

HERE = Path(__file__).parent
README, FIGURE = HERE / "README.md", HERE / "repairing.svg"

Row = dict[str, Any]
Columns = dict[str, Callable[[Row], object]]
LIMITS: Columns = {
    "in the index": lambda row: f"{row['index']:,}",
    "missing": lambda row: f"{row['missing']:,}",
    "raw load, s": lambda row: f"{row['load_cpu_s']:.1f}",
    "raw load and add, s": lambda row: f"{row['raw_add_cpu_s']:.1f}",
    "one read, s": lambda row: f"{row['read_cpu_s']:.2f}",
    "engine check, s": lambda row: f"{row['engine_cpu_s']:.1f}",
    "repair without it, s": lambda row: f"{row['repair_cpu_s']:.1f}",
    "ratio": lambda row: f"{row['ratio']:.2f}",
    "ratio without engine": lambda row: f"{row['ratio_without_engine']:.2f}",
    "peak, MB": lambda row: f"{row['peak_mb']:,.0f}",
}
PEERS: Columns = {
    "": lambda row: row["name"],
    "CPU, s": lambda row: f"{row['cpu_s']:.1f}",
    "wall, s": lambda row: f"{row['wall_s']:.1f}",
    "peak, MB": lambda row: f"{row['peak_mb']:,.0f}",
    "embedded": lambda row: f"{row['embedded']:,}",
    "records": lambda row: "none can be read" if row["records"] is None else f"{row['records']:,}",
    "vectors kept": lambda row: f"{row['kept']:,}",
    "recall@10": lambda row: f"{row['recall']:.3f}",
}
MEMORY: Columns = {
    "": lambda row: row["name"],
    "store": lambda row: f"{row['records']:,} × {row['dimension']}",
    "peak, MB": lambda row: f"{row['peak_mb']:,.0f}",
    "limit": lambda row: (
        f"{row['limit_mb']:,} MB" if row["limit_mb"] else f"{row['limit_of_data_mb']:,.0f} MB of data"
    ),
    "CPU, s": lambda row: f"{row['cpu_s']:.1f}",
    "status": lambda row: row["status"],
}
CASES: Columns = {
    "case": lambda row: row["case"],
    "what was found": lambda row: row["said"],
    "CPU, s": lambda row: f"{row['cpu_s']:.1f}",
    "wall, s": lambda row: f"{row['wall_s']:.1f}",
    "peak, MB": lambda row: f"{row['peak_mb']:,.0f}",
    "holds": lambda row: "yes" if row["holds"] else "no",
}
SAID: dict[str, Callable[[Row], str]] = {
    "orphans": lambda row: (
        f"{row['orphans']:,} of {row['drawers']:,} drawers embedded again; SQLite against index"
        f" {row['sqlite_against_index'][0]}; {row['top_hits']} of {row['searched']} top hits of mempalace's search;"
        f" its repair-status: divergence {row['repair_status'].get('divergence')}"
    ),
    "sparse": lambda row: (
        f"link_lists.bin of {row['apparent_gib']:.0f} GiB, {row['allocated_mb']:.1f} MB of the store on disk;"
        f" {row['allocated_all_mb']:.1f} MB with draft and case afterwards"
    ),
    "spaces": lambda row: (
        f"{row['with_spaces']} ids among {row['records']:,}; tables and files unlike before: {len(row['unlike_before'])}"
    ),
}


def write_page() -> None:
    """README.md tells the last figures between the markers of each table, and the figure shows them."""
    figures, sizes = kept("repairing"), kept("sizes")
    text = README.read_text(encoding="utf-8")
    memory = [*figures.get("memory", []), *([figures["mapped"]] if "mapped" in figures else [])]
    tables = {"rows": (figures.get("rows", []), LIMITS), "peers": (figures.get("peers", []), PEERS)}
    for name, (rows, columns) in {**tables, "memory": (memory, MEMORY)}.items():
        text = _between(text, f"repairing {name}", _table(rows, columns))
    rebuilt = [figures["rebuild"]] if figures.get("rebuild") else []
    text = _between(text, "repairing rebuild", "\n".join(map(_rebuilt, rebuilt)))
    cases = [{**sizes[name], "case": name, "said": SAID[name](sizes[name])} for name in SAID if name in sizes]
    README.write_text(_between(text, "sizes", _table(cases, CASES)), encoding="utf-8")
    draw(figures)


def _rebuilt(row: Row) -> str:
    raw, ours = row["raw_cpu_s"], row["repair_cpu_s"]
    walls = f"wall {row['repair_wall_s']:.0f} s, {row['ratio_wall']:.2f} × ({row['raw_wall_s']:.0f} s)"
    costs = f"{ours:.0f} CPU seconds, {row['ratio']:.2f} × a raw insert on all cores ({raw:.0f} s)"
    return f"A full rebuild of {row['index']:,} vectors: {costs}; {walls}."


def _between(text: str, name: str, inner: str) -> str:
    """`text` with `inner` between the markers of that name. Raises ValueError where there are none."""
    pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{README.name} has no markers {name!r}")
    return pattern.sub(lambda found: f"{found[1]}{inner}\n{found[2]}", text)


def _table(rows: Sequence[Row], columns: Columns) -> str:
    if not rows:
        return "Not measured yet."
    lines = [
        list(columns),
        ["---"] * len(columns),
        *([str(cell(row)) for cell in columns.values()] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(figures: Row) -> None:
    """Cost by the number of missing vectors beside that of hnswlib alone, and the peers' wall seconds."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "repairing"
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    rows = figures.get("rows", [])
    top = max((row["index"] for row in rows), default=0)
    rows = [row for row in rows if row["index"] == top]
    missing = [row["missing"] for row in rows]
    for name, label in (("repair_cpu_s", "repair"), ("raw_add_cpu_s", "chroma-hnswlib: load and add")):
        left.loglog(missing, [row[name] for row in rows], marker="o", label=label)
    left.set(xlabel=f"missing vectors (index of {top:,})", ylabel="CPU seconds")
    left.legend()
    peers = figures.get("peers", [])[::-1]
    right.barh([row["name"] for row in peers], [row["cpu_s"] for row in peers], color="tab:blue")
    right.set(xlabel="CPU seconds, 50,000 × 384")
    figure.savefig(FIGURE, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    write_page()
