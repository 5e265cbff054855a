"""Set arithmetic on ids, for ten million of them; knows nothing of Chroma."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IdDiff:
    """Which ids are only on one side, in the order of that side; `common` counts the others."""

    left_name: str
    right_name: str
    only_left: tuple[str, ...] = field(repr=False)
    only_right: tuple[str, ...] = field(repr=False)
    common: int

    def __repr__(self) -> str:
        return (
            f"IdDiff({self.common} in both, {len(self.only_left)} only in {self.left_name}, "
            f"{len(self.only_right)} only in {self.right_name})"
        )

    @property
    def equal(self) -> bool:
        return not self.only_left and not self.only_right


def diff_sets(
    left: Sequence[str], right: Collection[str], left_name: str = "left", right_name: str = "right"
) -> IdDiff:
    """The difference of two collections of ids; give `right` as a dict or set to save its copy."""
    lookup = right if isinstance(right, (set, frozenset, dict)) else dict.fromkeys(right)  # keeps the order
    only_left = tuple(name for name in left if name not in lookup)
    common = len(left) - len(only_left)
    if common == len(lookup):
        return IdDiff(left_name, right_name, only_left, (), common)
    known = set(left)
    return IdDiff(
        left_name, right_name, only_left, tuple(name for name in lookup if name not in known), common
    )
