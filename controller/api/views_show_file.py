"""What is sent of whole shows: imports, and copies of the database."""

from __future__ import annotations

from controller.api.views import View
from controller.store import Change


class ImportView(View, frozen=True):
    """What importing a show would change."""

    name: str
    """Of the show in the file."""
    exported_rev: int
    """The revision it had where it was exported."""
    config: list[str]
    """Lines of the configuration that are otherwise, as `diff -u` tells them; none: it is the same."""
    changes: dict[str, Change]
    """What is otherwise of what is live, by place: now, and in the file."""
    files: dict[str, str]
    """Files the show names that are `missing` here, or `other` than where it was exported."""


class BackupView(View, frozen=True):
    """One copy of the show's database."""

    name: str
    bytes: int


class BackupsView(View, frozen=True):
    """The copies, newest first."""

    backups: list[BackupView]
