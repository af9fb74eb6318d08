"""Colour of the walls: primaries, transfer curves, roll-off, ranges and dither, in numpy; the shaders do the same."""
