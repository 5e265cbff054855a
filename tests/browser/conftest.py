"""A JupyterLab as `forensics lab` starts it, and a Chromium to look at it with. Without one the tests are skipped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120_000
"""Milliseconds that a step may take on a busy machine."""
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*token=\w+")


@dataclass(frozen=True, slots=True)
class Lab:
    """A running JupyterLab: its address with the token, the store and the case of its walk."""

    address: str
    store: Path
    case: Path

    def of(self, name: str) -> str:
        """The address that opens another notebook of the walk."""
        return self.address.replace("00_start_here", name)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    if found is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    return found


@pytest.fixture
def page(chromium: str) -> Generator[Any]:
    """A new page of 1500 × 1150; what JupyterLab's own server sends and nothing else is loaded."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'"
    )
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 1500, "height": 1150})
        made.set_default_timeout(PATIENCE)
        made.asked_elsewhere = []
        made.on("request", lambda request: _note(made, request.url))
        yield made
        browser.close()


def _note(page: Any, url: str) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        page.asked_elsewhere.append(url)


@pytest.fixture
def lab(sample: Callable[[str], Path], tmp_path: Path) -> Generator[Callable[..., Lab]]:
    """`lab(name)` starts JupyterLab on a copy of that sample as if it were one's own store."""
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> Lab:
        store, case = sample(name), tmp_path / "case"
        words = [
            sys.executable,
            "-P",
            "-m",
            "forensics",
            "lab",
            str(store),
            "--case",
            str(case),
            "--no-browser",
        ]
        told = {name: value for name, value in os.environ.items() if not name.startswith("FORENSICS_")}
        told |= {"FORENSICS_EMBEDDER": "forensics.testing.embedder:embed", "HOME": str(tmp_path / "home")}
        command, log = [*words, "--port", str(_free_port())], tmp_path / "jupyterlab.log"
        with log.open("w") as said:
            server = subprocess.Popen(command, stdout=said, stderr=said, env=told, start_new_session=True)
        running.append(server)
        return Lab(_address(server, log), store, case)

    yield start
    for server in running:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """The address that JupyterLab prints once it listens."""
    for _ in range(600):
        found = ADDRESS.search(log.read_text())
        if found is not None:
            return found[0]
        if server.poll() is not None:
            break
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}", pytrace=False)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
