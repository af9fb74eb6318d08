"""Canvases as SMPTE ST 2110-20 video: packets, session descriptions, and paced sending over one path or two."""
