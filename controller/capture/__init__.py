"""Capture: what leaves on a canvas, an inner picture or a photo, written to disk frame by frame."""
