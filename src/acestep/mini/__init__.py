"""The small base model that ships with the package, and the demo that runs on it."""
