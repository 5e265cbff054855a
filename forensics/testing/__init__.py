"""Tools to make real Chroma stores, damage them on purpose and embed text without a model."""
