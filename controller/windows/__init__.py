"""Windows: canvases on the monitors that feed LED processors."""
