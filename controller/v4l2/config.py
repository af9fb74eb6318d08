"""The configuration of a canvas that is written into a video device."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from stage.config import Section


class V4l2Config(Section):
    """A canvas as a camera of this machine: programs that take cameras see it. Needs the v4l2loopback module."""

    device: Annotated[str, StringConstraints(pattern=r"^/dev/[A-Za-z0-9_/-]{1,100}$")]
    """Such as /dev/video10: `modprobe v4l2loopback video_nr=10` makes it."""
