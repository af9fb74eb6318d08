"""The room as a pure model: units, frames, cameras, walls, canvases and the frame plan."""
