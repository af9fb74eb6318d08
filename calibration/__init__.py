"""Solvers that measure a stage: lens, tracker, walls, colour, latency."""
