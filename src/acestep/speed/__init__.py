"""What changes how fast or how large a pass through the transformer is, and never its result."""
