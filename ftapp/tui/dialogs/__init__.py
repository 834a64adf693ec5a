"""Questions on top of a screen, each with an answer as its result."""
