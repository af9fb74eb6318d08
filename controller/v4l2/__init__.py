"""Canvases as video devices of this machine (v4l2loopback), for programs that take cameras."""
