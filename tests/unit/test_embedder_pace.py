"""An embedder is asked in batches, at a pace, again after what passes; a text that cannot be embedded is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forensics.errors import CannotComplete, OtherDimension
from forensics.repair.embedder_pace import HOPELESS, Pace, Paced
from forensics.repair.embedding import Embedder, spell
from forensics.testing.embedder import embed

TEXTS = [f"text number {i}" for i in range(20)]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Answered(Exception):
    """An HTTP answer that is an error."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status_code, self.headers = status, headers or {}


def paced(function: Any, clock: Clock | None = None, **pace: Any) -> Paced:
    clock = clock or Clock()
    return Paced("mine", function, Pace(**pace), clock=clock, sleep=clock.sleep)


def everything(asker: Paced, texts: list[str] = TEXTS) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    made: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    for done, rows, bad in asker.batches(texts, 32):
        made.update(zip(done, rows, strict=True))
        failed |= bad
    return made, failed


def test_calls_hold_at_most_a_batch_and_keep_their_distance() -> None:
    clock, sizes = Clock(), list[int]()

    def count(texts: list[str]) -> np.ndarray:
        sizes.append(len(texts))
        return embed(texts)

    made, failed = everything(paced(count, clock, batch=8, per_minute=30))
    assert sizes == [8, 8, 4]
    assert clock.slept == [2.0, 2.0]
    assert failed == {}
    assert all((made[text] == row).all() for text, row in zip(TEXTS, embed(TEXTS), strict=True))


def failing(errors: list[BaseException]) -> Any:
    """Raises these one after the other, then embeds."""
    left = list(errors)

    def function(texts: list[str]) -> np.ndarray:
        if left:
            raise left.pop(0)
        return embed(texts)

    return function


@pytest.mark.parametrize(
    "error",
    [Answered(429), Answered(500), Answered(503), ConnectionResetError("dropped"), TimeoutError("slow")],
    ids=lambda error: str(error),
)
def test_what_passes_is_tried_again_later_and_later(error: BaseException) -> None:
    clock = Clock()
    asker = paced(failing([error] * 4), clock)
    assert len(everything(asker)[0]) == 20
    assert asker.tally.retries == 4
    assert [0.75 * 2**n / 2 <= wait <= 1.25 * 2**n / 2 for n, wait in enumerate(clock.slept)] == [True] * 4


def test_the_service_says_how_long_to_wait() -> None:
    clock = Clock()
    everything(paced(failing([Answered(429, {"retry-after": "17"})]), clock))
    assert clock.slept == [17.0]


def test_a_service_that_stays_away_ends_the_work_and_says_what_is_kept() -> None:
    with pytest.raises(CannotComplete, match=r"did not answer in 7 attempts.*are kept in the case"):
        everything(paced(failing([Answered(503)] * 100)))
    with pytest.raises(CannotComplete, match="in 1 attempts"):
        everything(paced(failing([Answered(429, {"retry-after": "7200"})])))


@pytest.mark.parametrize(
    "error",
    [Answered(401), Answered(403), RuntimeError("429: insufficient_quota")],
    ids=lambda error: str(error),
)
def test_what_concerns_the_account_is_not_tried_again(error: BaseException) -> None:
    clock = Clock()
    asker = paced(failing([error] * 3), clock)
    with pytest.raises(CannotComplete, match="The embedder mine raised"):
        everything(asker)
    assert (asker.tally.calls, clock.slept) == (1, [])


def picky(texts: list[str]) -> np.ndarray:
    """Refuses a call in which one of two texts stands; of a third it makes no numbers."""
    if {"text number 3", "text number 11"} & set(texts):
        raise ValueError("too long for the model")
    made = embed(texts)
    made[[i for i, text in enumerate(texts) if text == "text number 17"]] = np.nan
    return made


def test_the_texts_that_fail_are_found_and_the_others_are_embedded() -> None:
    made, failed = everything(paced(picky, batch=10))
    assert sorted(failed) == ["text number 11", "text number 17", "text number 3"]
    assert failed["text number 3"] == "raised ValueError: too long for the model"
    assert failed["text number 17"] == "gave components that are not finite numbers"
    assert len(made) == 17
    assert all((made[text] == row).all() for text, row in zip(made, embed(list(made)), strict=True))


def test_each_failure_is_told_by_its_place() -> None:
    made, failed = Embedder("mine", picky).tolerant(TEXTS, 32)
    assert sorted(failed) == [3, 11, 17]
    assert not made[[3, 11, 17]].any()
    with pytest.raises(CannotComplete, match="The embedder mine raised ValueError: too long for the model"):
        Embedder("mine", picky)(TEXTS, 32)


def test_an_embedder_that_never_works_is_given_up_soon() -> None:
    asker = paced(failing([ValueError("broken")] * 1000))
    with pytest.raises(CannotComplete, match="raised ValueError: broken"):
        everything(asker, [f"{i}" for i in range(512)])
    assert asker.tally.calls <= 9 + 2 * HOPELESS


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(np.zeros((20, 31)), OtherDimension), (np.zeros((19, 32)), CannotComplete), ("nothing", CannotComplete)],
    ids=["other-dimension", "one-too-few", "no-array"],
)
def test_an_answer_of_another_shape_is_no_failure_of_a_text(answer: Any, kind: type[Exception]) -> None:
    asker = paced(lambda texts: answer)
    with pytest.raises(kind):
        everything(asker)
    assert asker.tally.calls == 1


def test_the_rate_leaves_out_the_call_that_loads_the_model() -> None:
    clock = Clock()

    def slow_at_first(texts: list[str]) -> np.ndarray:
        clock.now += 30 if clock.now == 0 else 2
        return embed(texts)

    embedder = Embedder("mine", slow_at_first, pace=Pace(batch=5))
    embedder.paced.clock = clock
    embedder(TEXTS, 32)
    assert embedder.kept().per_second == 2.5


def test_times_are_told_in_words() -> None:
    assert [spell(3), spell(700), spell(9000)] == ["3 s", "12 min", "2.5 h"]
