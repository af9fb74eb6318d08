"""Canvases as NDI sources, where somebody has installed NDI's own library."""
