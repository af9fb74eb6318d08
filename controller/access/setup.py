"""How the first user is made: a one-time code, told where the show is started."""

from __future__ import annotations

from controller.access.secrets import new_code
from controller.access.store import AccessStore


def set_up_words(store: AccessStore) -> str:
    """What the start of a run says of users: nothing once there is an administrator; before, with a new code."""
    if store.is_set_up:
        return ""
    code = new_code()
    store.keep_code(code)
    return (
        "no users yet: whoever is on this machine may change the show, nobody else may. "
        f"First administrator: set-up code {code} (POST /api/v1/setup, or `openvolume access user NAME --role admin`)\n"
    )
