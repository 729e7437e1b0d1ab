"""State and offsets in one commit."""
