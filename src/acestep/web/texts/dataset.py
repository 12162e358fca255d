"""Texts of the dataset part."""

WORDS: dict[str, tuple[str, str]] = {}
