"""Takes: what was recorded when, how it was marked, and playing its tracking on the walls again."""
