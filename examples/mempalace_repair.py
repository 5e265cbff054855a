"""The repairs that mempalace's users ask for, by the names they have there, with the vectors that a palace still has.

python examples/mempalace_repair.py PALACE --mode hnsw         the index anew, from its own vectors; nothing is embedded
python examples/mempalace_repair.py PALACE --mode reconcile --embedder FILE.py:CALLABLE     and whatever stands in the way
python examples/mempalace_repair.py PALACE --mode max-seq-id [--also COPY]   watermarks past every write

Stop mempalace first. Each repair is verified, and `forensics undo --case …` takes it back.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import forensics as fx

MODES: dict[str, dict[str, Any]] = {
    "hnsw": {"rebuild": "*"},
    "reconcile": {},
    "max-seq-id": {"only": "CF203"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("palace")
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--embedder", help="what embeds a drawer whose vector is nowhere any more")
    parser.add_argument("--also", action="append", default=[], help="an older copy of the palace")
    asked = parser.parse_args()
    done = fx.reconcile(asked.palace, embedder=asked.embedder, also=asked.also, **MODES[asked.mode])
    for name in ("applied", "verified", "records", "remaining", "case"):
        print(f"{name}: {done.get(name)}")
    return 0 if done["verified"] else 1


if __name__ == "__main__":
    sys.exit(main())
