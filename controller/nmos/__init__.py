"""NMOS: canvases that are sent announce themselves (IS-04), and controllers connect them (IS-05)."""
