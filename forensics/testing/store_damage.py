"""Former name of the damage menu; to be removed: see `forensics.testing.damage`."""

from __future__ import annotations

from forensics.testing.damage import Damage, damage_menu

__all__ = ["Damage", "store_menu"]
store_menu = damage_menu
