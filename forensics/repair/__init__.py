"""From findings to a repaired store: plan, draft, actions, swap, undo."""
