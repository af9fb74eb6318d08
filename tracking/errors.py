"""Errors of the tracking package."""

from __future__ import annotations

from stage.errors import OpenVolumeError


class TrackingError(OpenVolumeError):
    """Base of the tracking package's errors."""

    code = "tracking.error"


class ListenError(TrackingError):
    """An address that cannot be listened on: in use, not of this machine, not an address."""

    code = "tracking.listen"


class SendError(TrackingError):
    """A move, protocol or target that cannot be sent."""

    code = "tracking.send"


class PlayError(TrackingError):
    """A file of recorded datagrams that cannot be played."""

    code = "tracking.play"


class CaptureError(TrackingError):
    """A recording that cannot be read or written."""

    code = "tracking.capture"


class UnknownSource(TrackingError):
    """A source or camera id that the configuration does not name."""

    code = "tracking.unknown_source"


class IllegalTransition(TrackingError):
    """A change of health state that may not happen."""

    code = "tracking.illegal_transition"
