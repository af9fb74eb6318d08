"""What the API tells of captures."""

from __future__ import annotations

from controller.api.views import View


class CaptureView(View, frozen=True):
    """One capture: frames of a canvas, an inner picture or a photo on their way to disk."""

    id: str
    of: str
    """`canvases/left`, `cameras/a/inner` or `cameras/a/photo`."""
    format: str
    path: str
    """The video, or what names of stills begin with."""
    state: str
    """`waiting`, `running`, `done` or `failed`; `asked` until its process has come to it."""
    first_frame: int
    """The first wanted one; 0: the next one shown."""
    last_frame: int | None
    """The last wanted one; None: until it is ended, 0: it ends now."""
    every: int
    written: int
    """Pictures on the disk."""
    missing: int
    """Wanted frames that are not; the JSON file beside it lists them with the reason."""
    newest_frame: int | None
    """The newest on the disk."""
    sidecar: str
    """The JSON file that tells what was captured and what is missing."""
    detail: str
    """Why it failed, or what is missing first."""
