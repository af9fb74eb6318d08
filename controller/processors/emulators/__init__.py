"""Emulators of LED processors: real servers that speak the makers' protocols, with their quirks and faults."""
