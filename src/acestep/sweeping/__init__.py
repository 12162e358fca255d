"""A search for settings: what is tried, the trials' processes, what came out."""
