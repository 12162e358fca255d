"""Texts of the music part."""

WORDS: dict[str, tuple[str, str]] = {}
