"""`python -m benchmarks` (also `make bench`): every benchmark in turn; status 1 where one passes its limit."""

from __future__ import annotations

import subprocess
import sys

NAMES = ("diagnose_at_size", "deep_at_size", "by_size", "add_missing", "repairing")

if __name__ == "__main__":
    sys.exit(
        max(
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
            for name in NAMES
        )
    )
