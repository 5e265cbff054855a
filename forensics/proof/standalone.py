"""Proof for others: whether a repaired Chroma store holds what its case says, told by the standard library alone.

    python verify.py [OLD NEW] [--seal HASH]

OLD: the store before the repair, a copy, the folder that keeps the original, or - for none. NEW: the repaired store or a
copy. Left out, both are where the case says. HASH: the seal that `repair` or `apply` printed. Exit 1 where a test failed.
"""

from __future__ import annotations

import argparse, csv, hashlib, json, math, mmap, os, pickle, shutil, sqlite3, struct, tempfile
from pathlib import Path
from typing import Any, Iterator

DATABASE, BLOCK, UNIT, BIG = "chroma.sqlite3", 4096, 1e-5, 3e38
KEPT, PENDING, LOST, OWN, AGAIN = "kept in the index", "pending in the queue", "lost", "level 0", "embedded again"
STAGES, EFFECTS = ("manifest", "manifest-after", "plan", "verdict", "result"), ("lost", "set_aside", "after", "before")


class Tree:
    """A store as files: a folder, or what a swap kept of the original (`entries/`, …) over the repaired store."""
    def __init__(self, folder: Path, rest: Path, manifest: Any) -> None:
        parts, self.known = [folder / name for name in ("database", "entries", "kept")], {e["path"] for e in manifest["entries"]}
        self.places = [*parts, rest] if parts[1].is_dir() else [folder]

    def path(self, name: str) -> Path:
        return next((p / name for p in self.places if name in self.known and (p / name).is_file()), Path(os.devnull) / name)

    def connect(self, to: sqlite3.Connection | None = None) -> sqlite3.Connection:
        """The database, read only, or attached as `old`; an unfinished transaction is rolled back in a copy."""
        path, names = self.path(DATABASE), [DATABASE + side for side in ("", "-journal", "-wal")]
        if any(size(self.path(name)) for name in names[1:]):
            self.scratch = tempfile.TemporaryDirectory(prefix="verify-")
            for name in (name for name in names if size(self.path(name))):
                path = Path(shutil.copy(self.path(name), self.scratch.name)).with_name(DATABASE)
            sqlite3.connect(str(path)).execute("SELECT count(*) FROM sqlite_master")
        uri = path.resolve().as_uri() + "?mode=ro&immutable=1"
        made = to.execute("ATTACH ? AS old", (uri,)).connection if to else sqlite3.connect(uri, uri=True)
        made.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        return made


def size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def digest(path: Path, extents: Any = ()) -> str:
    """SHA-256 of a file; of one with large holes, of its size and these stretches, all else being zeros."""
    sha, at = hashlib.sha256(b"extents" + struct.pack("<Q", size(path)) if extents else b""), 0
    with open(path, "rb") as handle:
        for start, length in [*(extents or [[0, size(path)]]), [size(path), 0]]:
            while at < start + length:
                sha.update(struct.pack("<QQ", start, length) if extents and at == start else b"")
                part = handle.read(min(1 << 20, (start if at < start else start + length) - at))
                sha.update(part if at >= start else b"no hole" if any(part) else b"")
                at += len(part)
    return sha.hexdigest()


def read(path: Path) -> Any:
    """The JSON of a file or of each of its lines; the rows of a list without its header."""
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as handle:
        if path.suffix == ".csv":
            return list(csv.reader(handle))[1:]
        return [json.loads(line) for line in handle] if path.suffix == ".jsonl" else json.load(handle)


class IdMap(pickle.Unpickler):  # reads dicts of texts and numbers; imports nothing, calls nothing but an empty shell
    def find_class(self, module: str, name: str) -> Any:
        if name != "PersistentData":
            raise ValueError(f"the id map names {module}.{name}")
        return type(name, (), {})


class Side:
    """One collection of a store: `ids` of SQLite, `label` and `element` (live) of mapped ids, `reach`: with a vector."""
    count = size = first = top = enter = room = dim = 0
    raw: Any = b""
    def __init__(self, tree: Tree, claim: Any, index: bool) -> None:
        self.tree, self.db, self.indexed = tree, tree.connect(), index
        found = self.db.execute("SELECT scope, id FROM segments WHERE collection = ?", (claim["id"],))
        self.segment: dict[str, str] = dict(found.fetchall())
        found = self.db.execute("SELECT embedding_id FROM embeddings WHERE segment_id = ?", (self.segment["METADATA"],))
        self.ids = {row[0] for row in found}
        self.file = lambda name: tree.path(f"{self.segment.get('VECTOR')}/{name}")
        self.vector = lambda i: self.raw[(start := i * self.size + self.first) : start + 4 * self.dim]
        self.labels = self.open_level0() if size(self.file("header.bin")) == 100 and size(self.file("data_level0.bin")) else []
        there = index and size(self.file("index_metadata.pickle"))
        with open(self.file("index_metadata.pickle") if there else os.devnull, "rb") as handle:
            found = IdMap(handle).load() if there else {}
        self.map: dict[str, Any] = found if isinstance(found, dict) else vars(found)
        self.label: dict[str, int] = self.map.get("id_to_label", {})
        place = {label: i for i, label in enumerate(self.labels)}
        held = ((n, place.get(label, -1)) for n, label in self.label.items())
        self.element = {n: i for n, i in held if i >= 0 and not self.raw[i * self.size + 2] & 1}
        self.queued = dict(self.replayed(claim["id"]))
        self.reach = {n for n in self.ids if n in self.element or self.queued.get(n)}

    def open_level0(self) -> list[int]:
        h = struct.unpack("<i6QiI3QdQ", self.file("header.bin").read_bytes())
        self.count, self.size, at, self.first, self.top, self.enter, self.room = *h[3:9], h[11]
        with open(self.file("data_level0.bin"), "rb") as handle:
            self.raw = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        plain = (self.size, self.first) == (at + 8, 4 + 8 * self.room) and len(self.raw) >= self.count * self.size
        if self.indexed and not plain:
            raise ValueError("header.bin does not describe data_level0.bin")
        self.dim, label = (at - self.first) // 4 if plain else 0, struct.Struct("<Q").unpack_from
        return [label(self.raw, i * self.size + at)[0] for i in range(self.count if plain else 0)]

    def replayed(self, collection: str) -> Iterator[tuple[str, bool]]:
        """(id, whether the queue above the watermark of the vector segment gives it a vector)."""
        found = self.db.execute("SELECT seq_id FROM max_seq_id WHERE segment_id = ?", (self.segment.get("VECTOR"),)).fetchone()
        modern = self.db.execute("SELECT 1 FROM migrations WHERE dir = 'metadb' AND version > 4").fetchone()
        mark = 0 if modern and not self.label else found[0] if found else self.map.get("max_seq_id") or 0
        mark = int.from_bytes(mark, "big") if isinstance(mark, bytes) else mark
        sql = "SELECT operation, id, vector IS NOT NULL FROM embeddings_queue WHERE topic LIKE ? AND seq_id > ?"
        state: dict[str, tuple[bool, bool]] = {}
        for what, name, has in self.db.execute(sql + " ORDER BY seq_id", ("%/" + collection, mark)):
            there, brought = state.get(name, (name in self.label, False))
            if what == 2 or (what == 0 and not there) or (what == 1 and there):
                there, brought = True, brought or bool(has)
            state[name] = (False, False) if what == 3 else (there, brought)
        yield from ((name, all(both)) for name, both in state.items())

    def told(self) -> dict[str, Any]:
        said, vectors = {"records": len(self.ids), "ids": fingerprint(sorted(self.ids))}, hashlib.sha256()
        held = sorted((i, n) for n, i in self.element.items())
        for part in (held[start : start + BLOCK] for start in range(0, len(held), BLOCK)):
            vectors.update(fingerprint([n for _, n in part]).encode() + b"".join(self.vector(i) for i, _ in part))
        return {**said, "reachable": len(self.reach), "indexed": len(held), "vectors": vectors.hexdigest()}


def fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def run(case: Path, old: Path | None, new: Path, seal: str | None = None) -> Iterator[tuple[str, bool | None, str]]:
    """Every test of this case with its outcome (None: it cannot be told) and what was found."""
    proof, stage = read(case / "proof.json"), {name: read(case / f"{name}.json") for name in STAGES}
    after, before = Tree(new, new, stage["manifest-after"]), None if old is None else Tree(old, new, stage["manifest"])
    tests: list[Any] = [(chain, case, proof, seal), (numbers, stage, proof), (sealed, after, stage["manifest-after"], "after")]
    if before is None:
        yield "what only the store before the repair can show", None, "it is not at hand"
    else:
        tests += [(sealed, before, stage["manifest"], "before"), *([] if proof["anew"] else [(tables, proof, before, after)])]
    tests += [(collection, case, claim, before, after, stage, proof) for claim in proof["collections"]]
    for test, *given in tests:
        try:
            for name, wrong, right in test(*given):
                shown = ", ".join(sorted(ascii(each) for each in wrong or ())[:3])
                yield name, None if wrong is None else not wrong, f"{len(wrong)} wrong: {shown}" if wrong else str(right)
        except Exception as error:  # noqa: BLE001 - what cannot be read as it should be proves nothing
            yield test.__name__, False, f"cannot be read: {type(error).__name__}: {error}"


def chain(case: Path, proof: Any, seal: str | None) -> Iterator[Any]:
    own = fingerprint({name: value for name, value in proof.items() if name != "seal"})
    yield f"proof.json is as it was sealed{' and printed' if seal else ''}", {proof["seal"], seal or own} - {own}, own
    there = {p.relative_to(case).as_posix() for p in (case / "evidence").rglob("*") if p.is_file()}
    wrong = {n for n, sha in proof["files"].items() if not (case / n).is_file() or digest(case / n) != sha}
    wrong |= {n for n, (k, sha) in proof["logs"].items() if hashlib.sha256((case / n).read_bytes()[:k]).hexdigest() != sha}
    yield "the files of the case are the sealed ones", wrong | (there - set(proof["files"])), len(proof["files"])
    if (case / "report.json").is_file():
        yield "report.html is the one of this proof", {("seal", own), ("sha256", digest(case / "report.html"))} ^ {*read(case / "report.json").items()}, own


def sealed(tree: Tree, manifest: Any, when: str) -> Iterator[Any]:
    files = {e["path"]: e for e in manifest["entries"] if e["kind"] == "file"}
    root = tree.places[0] if len(tree.places) == 1 else Path(os.devnull)
    found = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} - set(files)
    wrong = {n for n, e in files.items() if size(tree.path(n)) != e["size"] or digest(tree.path(n), e["extents"]) != e["sha256"]}
    yield f"the files of the store {when} the repair are those of its manifest", wrong | {n for n in found if n[:10] != ".forensics"}, len(files)


def numbers(stage: Any, proof: Any) -> Iterator[Any]:
    verdict, result = stage["verdict"], stage["result"]
    wrong = [test["name"] for test in verdict["tests"] if not test["passed"]]
    wrong += [] if verdict["effects"] == proof["effects"] and verdict["passed"] else ["effects"]
    parts = {name: [effect[name] for effect in verdict["effects"]] for name in result["records"]}
    wrong += [n for n, each in parts.items() if result["records"][n] != (None if None in each else sum(each))]
    wrong += [n for n in ("verified", "remaining") if result[n] != verdict[n]]
    yield "plan, verdict and result say the same", wrong, result["records"]
    old, new = ({e["path"]: e["sha256"] for e in stage[n]["entries"]} for n in STAGES[:2])
    about = tuple(f"{path}/" for path in proof["changed"])
    wrong = [n for n in {*old, *new} if old.get(n) != new.get(n) and not f"{n}/".startswith(about)]
    yield "nothing changed but what the repair was about", wrong, ", ".join(proof["changed"])


def tables(proof: Any, before: Tree, after: Tree) -> Iterator[Any]:
    db = before.connect(after.connect())
    found = db.execute("SELECT name FROM old.sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'")
    names = {n for (n,) in found if not n.startswith(("sqlite_", "embedding_fulltext"))} - set(proof["may_change"])
    sql, pairs = 'SELECT 1 FROM (SELECT * FROM {1}."{0}" EXCEPT SELECT * FROM {2}."{0}")', (("old", "main"), ("main", "old"))
    wrong = [n for n in names if any(db.execute(sql.format(n, *pair)).fetchone() for pair in pairs)]
    yield "tables that no action is about are equal", wrong, f"{len(names)} tables"


def collection(case: Path, claim: Any, before: Tree | None, after: Tree, stage: Any, proof: Any) -> Iterator[Any]:
    """The records of one collection: none missing but those listed, each with the vector and the origin that is claimed."""
    name, new = claim["name"], Side(after, claim, "vectors" in claim["after"])
    old = Side(before, claim, "vectors" in claim["before"]) if before is not None and "ids" in claim["before"] else None
    for when, side in (("after", new), ("before", old)):
        wrong = [k for k, v in side.told().items() if v != claim[when].get(k, v)] if side else None
        yield f"{name}: ids, vectors and counts {when} the repair", wrong, claim[when].get("records") if side else "it cannot be read plainly"
    lists = {key: read(case / claim[key]) if claim[key] else [] for key in ("lost", "renamed", "provenance")}
    lost, renamed = [row[0] for row in lists["lost"]], dict(lists["renamed"])
    aside, replaced, added = ({line["id"] for n in claim[key] for line in read(case / n)} for key in ("set_aside", "replaced", "added"))
    effect = next(e for e in stage["verdict"]["effects"] if e["collection"] == name)
    losses = sum(loss["count"] for loss in proof["losses"] if loss["collection"] == name)
    said, wrong = (len(lost), max(0, len(aside) - len(added)), len(new.reach), claim["before"].get("known")), {*lost} ^ (new.ids - new.reach)
    wrong |= set() if losses in (len(lost), len(lost) + len(aside)) and said == tuple(effect[n] for n in EFFECTS) else {"plan and verdict"}
    yield f"{name}: losses are exactly those listed", wrong, f"{len(lost)} lost, {len(aside)} set aside"
    origin = {row[0]: row for row in lists["provenance"]}
    if origin:
        kinds = [row[2] for row in origin.values()]
        wrong = set(origin) ^ new.ids | {n for n, row in origin.items() if (row[2] == LOST) == (n in new.reach)}
        wrong |= {n for n, r in origin.items() if r[1] != str(new.label[n] if n in new.element else "")}
        wrong |= set() if kinds.count(AGAIN) == effect["reembedded"] else {"the count of those embedded again"}
        yield f"{name}: provenance is complete and consistent", wrong, f"{kinds.count(KEPT)} of {len(kinds)} kept"
    if old is not None:
        former, there = {new: old for old, new in renamed.items()}, {renamed.get(n, n) for n in old.ids - aside} | added
        there |= new.ids & ({*old.label} | {*old.queued}) if proof["anew"] else set()
        more, wrong = len(new.ids - there), None if proof["anew"] and there < new.ids else there ^ new.ids
        yield f"{name}: ids are those of before", wrong, f"{len(renamed)} renamed, {len(added)} put back" + f", {more} not readable before" * (more > 0)
        yield from vectors(claim, old, new, replaced, former, origin) if old.dim or old.indexed else ()
    yield f"{name}: links, levels and id map are sound", list(unsound(new, claim["ghosts"])), f"{new.count} elements"


def vectors(claim: Any, old: Side, new: Side, replaced: Any, former: Any, origin: Any) -> Iterator[Any]:
    """Kept vectors and their norms are equal bit for bit, those brought back are the ones where they came from."""
    cosine, wrong, norms = claim["space"] == "cosine", [], []
    lengths = [side.file("length.bin").read_bytes() if cosine and size(side.file("length.bin")) else b"" for side in (old, new)]
    for n, i in ((n, i) for n, i in new.element.items() if n in new.ids):
        kind, place, ref, now = *(origin[n][2:5] if n in origin else (KEPT, "", "")), new.vector(i)
        was = int(ref) if kind == OWN else old.element.get(former.get(n, n), i if i >= old.count else -1)
        norm, before = (struct.unpack("<f", (lengths[s][4 * k : 4 * k + 4] + bytes(4))[:4])[0] for s, k in ((1, i), (0, max(was, 0))))
        if kind not in (KEPT, PENDING, LOST, OWN) or n in replaced:
            wrong += [] if came(old, kind, place, ref, now) else [n]
            norms += [n] if cosine and abs(sum(x * x for x in struct.unpack(f"<{new.dim}f", now)) - 1) > UNIT else []
        else:
            wrong += [n] if (kind == OWN or old.indexed) and (was < 0 or old.vector(was) != now) else []
            norms += [n] if 0 < before < BIG and before != norm else []
        norms += [n] if cosine and not 0 < norm < BIG else []
    yield f"{claim['name']}: vectors are those of before, or of their origin", wrong, len(new.element)
    yield f"{claim['name']}: norms", norms, "as before, or of length 1" if cosine else "none in this space"


def came(old: Side, kind: str, place: str, ref: str, now: bytes) -> bool:
    """False where the vector is not the one of its origin, and that is in the old store."""
    header, level0 = (old.tree.path(f"{place}/{name}") for name in ("header.bin", "data_level0.bin"))
    if kind != "queue":
        if not place or os.path.isabs(place) or not size(header) or not size(level0):
            return True
        with open(level0, "rb") as handle:
            element, first = struct.unpack_from("<QxxxxxxxxQ", header.read_bytes(), 28)
            return handle.seek(int(ref) * element + first) >= 0 and handle.read(len(now)) == now
    was = old.db.execute("SELECT vector FROM embeddings_queue WHERE seq_id = ?", (ref,)).fetchone()[0]
    one, other = (struct.unpack(f"<{len(raw) // 4}f", raw) for raw in (was, now))
    return was == now or math.dist([x / math.hypot(*one) for x in one], other) < UNIT


def unsound(side: Side, ghosts: int) -> Iterator[Any]:
    """Elements with a link to none, lists that break, an enterpoint below the top, ids of one half of the id map only."""
    lists, at, levels, step = side.file("link_lists.bin").read_bytes() if side.count else b"", 0, [], 4 + 4 * side.room
    for i in range(side.count):
        (more,) = struct.unpack_from("<I", lists, at)
        upper = [(lists, start, side.room) for start in range(at + 4, at + 4 + more, step)]
        for raw, start, room in [(side.raw, i * side.size, 2 * side.room), *upper]:
            (count,) = struct.unpack_from("<H", raw, start)
            near = struct.unpack_from(f"<{min(count, room)}I", raw, start + 4)
            if count > room or i in near or max(near, default=0) >= side.count:
                yield i
        levels.append(more // step)
        at += 4 + more
    if levels and (side.enter >= len(levels) or not levels[side.enter] == side.top == max(levels)):
        yield "enterpoint"
    back = side.map.get("label_to_id", {})
    yield from ({n for n, label in side.label.items() if back.get(label) != n} | set(back.values()) - set(side.label))
    yield from ("ids without a record",) if len(set(side.label) - side.ids - set(side.queued)) != ghosts else ()


def main() -> int:
    """The tests, a line each, on what is given, else on what the case says; 0 where none failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", metavar="OLD NEW")
    parser.add_argument("--seal", metavar="HASH")
    given, case, failed = parser.parse_args(), Path(__file__).resolve().parent, 0
    facts, to = read(case / "case.json"), read(case / "result.json").get("to")
    if len(given.stores) not in (0, 2) or any(name != "-" and not Path(name).is_dir() for name in given.stores):
        parser.error("give OLD and NEW, two folders, or none")
    old, new = given.stores or (facts["store"] if to else facts["draft"] or "-", to or facts["store"])
    for name, passed, detail in run(case, None if old == "-" else Path(old), Path(new), given.seal):
        print({True: "OK      ", False: "FAILED  ", None: "NOT TOLD"}[passed], name, "-", detail)
        failed += passed is False
    print(f"{failed} tests failed." if failed else "Every test passed that could be made.")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
