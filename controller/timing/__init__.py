"""Timing tests as a product: `openvolume timing CONFIG` runs a show under a simulated tracker and says what is late."""
