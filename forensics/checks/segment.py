"""Checks of this level; none is registered yet."""
