"""Errors of the controller package: what a person or a program asked of a running show that cannot be done."""

from __future__ import annotations

from stage.errors import OpenVolumeError


class ControllerError(OpenVolumeError):
    """Base of the controller package's errors."""

    code = "controller.error"


class UnknownAddress(ControllerError):
    """An address that names nothing of this show."""

    code = "controller.unknown_address"


class BadValue(ControllerError):
    """A value that the address does not take."""

    code = "controller.bad_value"


class NotAllowed(ControllerError):
    """A change that this hand's role does not make."""

    code = "controller.not_allowed"


class ShowLocked(ControllerError):
    """A change while the show is locked for a take."""

    code = "controller.show_locked"


class NothingToUndo(ControllerError):
    """No change is left that could be undone."""

    code = "controller.nothing_to_undo"


class NothingToGo(ControllerError):
    """No cue is left that could go, or be taken back."""

    code = "controller.nothing_to_go"


class ChangeRefused(ControllerError):
    """A process could not prepare the change; the running version stays."""

    code = "controller.change_refused"


class ChangeTimedOut(ControllerError):
    """A process did not answer in time; the running version stays."""

    code = "controller.change_timed_out"


class ConductorAbsent(ControllerError):
    """Nobody makes frame plans at the moment, so nothing can change."""

    code = "controller.conductor_absent"


class PreflightFailed(ControllerError):
    """The look at machine and stage came to no end."""

    code = "controller.preflight_failed"


class StaleChange(ControllerError):
    """A change made from an older revision than the one that runs."""

    code = "controller.stale"


class StoreError(ControllerError):
    """The show's database cannot be used."""

    code = "controller.store"
