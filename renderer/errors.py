"""Base error of the renderer package; small classes with stable codes live beside what raises them."""

from __future__ import annotations

from stage.errors import OpenVolumeError


class RendererError(OpenVolumeError):
    """Base of the renderer package's errors."""

    code = "renderer.error"
