"""Texts of the training part."""

WORDS: dict[str, tuple[str, str]] = {}
