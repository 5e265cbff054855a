"""Draws docs/notebook-00.png: the first screen of notebook 00 as it is committed, for README. Needs Chromium.

python scripts/make_picture.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from forensics.lab import books

ROOT = Path(__file__).resolve().parents[1]
SIZE = {"width": 1000, "height": 835}


def main() -> int:
    """0 where the picture is drawn; 1 where no Chromium is installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("No Chromium is installed: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        copied = Path(shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", folder))
        page = books.to_html(copied)
        browser = started.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--hide-scrollbars"]
        )
        view = browser.new_page(viewport=SIZE)  # pyright: ignore[reportArgumentType] - a plain dict serves
        view.goto(page.as_uri())
        view.screenshot(path=str(ROOT / "docs" / "notebook-00.png"))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
