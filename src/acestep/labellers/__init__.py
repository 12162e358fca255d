"""Programs that fill in labels. Sidecars and embedded tags are read by acestep.data."""
