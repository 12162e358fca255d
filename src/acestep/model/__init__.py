"""The base model: found, loaded and run; nothing here knows about datasets or adapters."""
