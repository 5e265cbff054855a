"""An embedder's function, asked at the pace that its service allows: in batches, again after a failure that passes, and
text by text where one text of a batch cannot be embedded.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forensics.errors import CannotComplete, OtherDimension

BATCH = 256
RETRIES = 6
LONGEST = 60.0
"""Seconds between two attempts, unless the service asks for more."""
PATIENCE = 900.0
"""Seconds that a service may ask for before the work is given up for now."""
HOPELESS = 16
"""Texts that fail one by one, before any was embedded, until the embedder itself is taken to be at fault."""
AGAIN = frozenset({408, 409, 425, 429, *range(500, 600)})
NEVER = frozenset({401, 402, 403, 404})
"""HTTP statuses that concern no single text: the key, the account, the model."""
PASSING = frozenset(
    {"ConnectionError", "TimeoutError", "URLError", "HTTPException", "APIConnectionError", "APITimeoutError"}
    | {"RateLimitError", "InternalServerError", "ServiceUnavailable", "TransportError", "Timeout"}
)
"""Names of exceptions, of whatever package, that stand for a service out of reach."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a service may be asked: texts in one call, calls in a minute (None: as fast as it answers), attempts after the
    first where a call fails for a reason that passes.
    """

    batch: int = BATCH
    per_minute: float | None = None
    retries: int = RETRIES


USUAL = Pace()


@dataclass(slots=True)
class Tally:
    """What was asked of an embedder: calls, those that were tried again, and the seconds that answers took."""

    calls: int = 0
    retries: int = 0
    seconds: float = 0.0


class Unembeddable(Exception):
    """One text, or one batch, that the embedder cannot embed however often it is asked; says why."""


class Paced:
    """The function of an embedder at a pace. `clock` and `sleep` count in seconds."""

    def __init__(
        self,
        name: str,
        function: Callable[[list[str]], Any],
        pace: Pace,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.function, self.pace = name, function, pace
        self.clock, self.sleep, self.tally = clock, sleep, Tally()
        self._free, self._worked, self._hopeless = 0.0, False, 0

    def batches(
        self, texts: Sequence[str], dim: int
    ) -> Iterator[tuple[list[str], np.ndarray, dict[str, str]]]:
        """(texts, their vectors (k, dim), text → why it cannot be embedded), as each batch is finished.

        Raises OtherDimension, and CannotComplete where the service stays away or the embedder itself is at fault.
        """
        for start in range(0, len(texts), self.pace.batch):
            yield self._divided(list(texts[start : start + self.pace.batch]), dim)

    def _divided(self, texts: list[str], dim: int) -> tuple[list[str], np.ndarray, dict[str, str]]:
        """What fails as a batch is halved until the texts are found that make it fail."""
        try:
            return self._without_strange(texts, self._answer(texts, dim))
        except Unembeddable as error:
            if len(texts) == 1:
                self._give_up_or_go_on(error)
                return [], np.empty((0, dim), dtype=np.float32), {texts[0]: str(error)}
        half = len(texts) // 2
        left, right = self._divided(texts[:half], dim), self._divided(texts[half:], dim)
        return left[0] + right[0], np.concatenate([left[1], right[1]]), left[2] | right[2]

    def _give_up_or_go_on(self, error: Unembeddable) -> None:
        """Raises CannotComplete where nothing was ever embedded."""
        self._hopeless += 1
        if not self._worked and self._hopeless >= HOPELESS:
            raise CannotComplete(f"The embedder {self.name} {error}.") from error

    def _without_strange(
        self, texts: list[str], made: np.ndarray
    ) -> tuple[list[str], np.ndarray, dict[str, str]]:
        """Rows with components that are no numbers are failures of their texts alone."""
        good = np.atleast_1d(np.isfinite(made).all(axis=1))
        if not good.any() and len(texts) > 1:
            raise CannotComplete(f"The embedder {self.name} {NOT_FINITE}.")
        self._worked = self._worked or bool(good.any())
        bad = {text: NOT_FINITE for text, fine in zip(texts, good.tolist(), strict=True) if not fine}
        return [text for text in texts if text not in bad], made[good], bad

    def _answer(self, texts: list[str], dim: int) -> np.ndarray:
        """(n, dim), after as many attempts as it takes. Raises Unembeddable where asking again is no use."""
        for attempt in range(self.pace.retries + 1):
            try:
                return self._shaped(self._call(texts), len(texts), dim)
            except (Exception, SystemExit) as error:
                if isinstance(error, CannotComplete):
                    raise
                self._again_after(error, attempt)
        raise AssertionError("the last attempt returns or raises")

    def _call(self, texts: list[str]) -> Any:
        """One call, no sooner than the pace allows; measured."""
        self._wait(self._free - self.clock())
        started = self.clock()
        if self.pace.per_minute:
            self._free = started + 60 / self.pace.per_minute
        self.tally.calls += 1
        answer = self.function(texts)
        self.tally.seconds += self.clock() - started
        return answer

    def _again_after(self, error: BaseException, attempt: int) -> None:
        """Waits for the next attempt. Raises Unembeddable, or CannotComplete where no text is to blame."""
        told = f"raised {type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
        status, asked = status_of(error), seconds_asked(error)
        if status in NEVER or "insufficient_quota" in str(error):
            raise CannotComplete(f"The embedder {self.name} {told}.") from error
        if not (status in AGAIN or (status is None and passes(error))):
            raise Unembeddable(told) from error
        if attempt == self.pace.retries or (asked or 0) > PATIENCE:
            raise CannotComplete(
                f"The embedder {self.name} did not answer in {attempt + 1} attempts (the last {told}); the batches that"
                " were finished are kept in the case, and doing the same again goes on from there."
            ) from error
        self.tally.retries += 1
        grown = min(LONGEST, 0.5 * 2**attempt)
        self._wait(asked if asked is not None else grown * random.uniform(0.75, 1.25))

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)

    def _shaped(self, given: Any, count: int, dim: int) -> np.ndarray:
        try:
            answer = np.asarray(given, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise CannotComplete(f"The embedder {self.name} gave no array of numbers: {error}.") from error
        if answer.shape == (count, dim):
            return answer
        text = f"The embedder {self.name} gave an array of shape {answer.shape}, not {count} vectors of {dim} components."
        raise (OtherDimension if answer.ndim == 2 and len(answer) == count else CannotComplete)(text)


NOT_FINITE = "gave components that are not finite numbers"


def passes(error: BaseException) -> bool:
    """True for what may be gone a moment later: the network, a service out of reach."""
    names = {kind.__name__ for kind in type(error).__mro__} | set(getattr(error, "kinds", ()))
    return bool(names & PASSING)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an exception carries, in the ways of urllib, requests, httpx and openai."""
    places = (error, getattr(error, "response", None))
    found = (getattr(each, name, None) for each in places for name in ("status_code", "code", "status"))
    return next((each for each in found if isinstance(each, int) and 100 <= each < 600), None)


def seconds_asked(error: BaseException) -> float | None:
    """How long the service asks to wait: the header Retry-After in seconds, or an attribute `retry_after`."""
    headers = [getattr(each, "headers", None) for each in (error, getattr(error, "response", None))]
    told = [each.get("retry-after") for each in headers if each is not None and hasattr(each, "get")]
    for value in (getattr(error, "retry_after", None), *told):
        try:
            return max(0.0, float(value))  # pyright: ignore[reportArgumentType] - what is no number is caught
        except (TypeError, ValueError):
            continue
    return None
