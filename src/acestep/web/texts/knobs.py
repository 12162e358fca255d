"""Texts of the knobs part."""

WORDS: dict[str, tuple[str, str]] = {}
