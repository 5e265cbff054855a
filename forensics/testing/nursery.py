"""Engine processes that are forked from one that has imported chromadb already: the import costs more than the work.

with preloaded():
    …                      # each Engine without a prefix is forked here; one process per release waits for orders

A process is forked before any client exists, so that no thread and no lock of the engine is shared.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[2]
_STEP = 0.01
_FOREVER = 600.0
_open: dict[str, Nursery] | None = None


class Nursery:
    """One interpreter of one release, waiting."""

    def __init__(self, python: str, environment: dict[str, str]) -> None:
        self._orders, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [python, "-m", "forensics.testing.nursery", str(there.fileno())]
        self._process = subprocess.Popen(
            command,
            pass_fds=[there.fileno()],
            env=environment,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        there.close()

    def fork(self, store: Path) -> Forked:
        """An engine process on `store`."""
        (child_in, to_child), (from_child, child_out) = os.pipe(), os.pipe()
        socket.send_fds(self._orders, [json.dumps({"store": str(store)}).encode()], [child_in, child_out])
        os.close(child_in)
        os.close(child_out)
        return Forked(self, self._answer(), os.fdopen(to_child, "w"), os.fdopen(from_child))

    def ask(self, **order: Any) -> Any:
        """What the waiting process answers."""
        self._orders.send(json.dumps(order).encode())
        return self._answer()

    def _answer(self) -> Any:
        return json.loads(self._orders.recv(1 << 12))

    def close(self) -> None:
        """Ends the waiting process."""
        self._orders.close()
        self._process.wait(timeout=_FOREVER)


class Forked:
    """As much of a subprocess.Popen as an Engine needs."""

    def __init__(self, nursery: Nursery, pid: int, stdin: IO[str], stdout: IO[str]) -> None:
        self.pid, self.stdout = pid, stdout
        self.stdin: IO[str] | None = stdin
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """The status, where it has ended."""
        if self.returncode is None:
            self.returncode = self._nursery.ask(wait=self.pid, seconds=0)
        return self.returncode

    def wait(self, timeout: float = _FOREVER) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self.returncode = self._nursery.ask(wait=self.pid, seconds=timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"engine {self.pid}", timeout)
        return self.returncode

    def kill(self) -> None:
        """SIGKILL where it lives: it is nobody else's number, since only `wait` lets it go."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@contextmanager
def preloaded() -> Generator[None]:
    """Every engine without a prefix is forked meanwhile; within another one, by those that are there."""
    global _open
    if _open is not None:
        yield
        return
    _open = {}
    try:
        yield
    finally:
        for nursery in _open.values():
            nursery.close()
        _open = None


def forked(python: str, store: Path, environment: dict[str, str]) -> Forked | None:
    """An engine process, or None where none are preloaded."""
    if _open is None:
        return None
    if python not in _open:
        _open[python] = Nursery(python, environment)
    return _open[python].fork(store)


def wait_for_orders(orders: socket.socket, serve: Callable[[str], None]) -> None:
    """In the waiting process, until the other side is gone: forks, and tells how children ended."""
    while True:
        text, descriptors, _, _ = socket.recv_fds(orders, 1 << 12, 2)
        if not text:
            return
        order = json.loads(text)
        if "store" in order:
            answer = _fork(orders, order["store"], descriptors, serve)
        else:
            answer = _status(order["wait"], order["seconds"])
        orders.send(json.dumps(answer).encode())


def _fork(orders: socket.socket, store: str, descriptors: list[int], serve: Callable[[str], None]) -> int:
    child = os.fork()
    if child:
        for descriptor in descriptors:
            os.close(descriptor)
        return child
    orders.close()
    os.setsid()
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    status = 1
    try:
        serve(store)
        status = 0
    finally:
        os._exit(status)


def _status(child: int, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if time.monotonic() >= until:
            return None
        time.sleep(_STEP)


if __name__ == "__main__":
    from forensics.testing.engine_child import main, version

    version()  # imports chromadb, so that children need not

    with socket.socket(fileno=int(sys.argv[1])) as given:
        wait_for_orders(given, main)
