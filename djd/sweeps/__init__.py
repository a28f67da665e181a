"""Many cells to an answer."""
