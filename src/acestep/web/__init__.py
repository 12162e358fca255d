"""The studio in a browser; a page starts a verb in its own process and reads its events."""
