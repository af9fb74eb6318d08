"""The configuration of a canvas that is an NDI source as well."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from stage.config import Section


class NdiConfig(Section):
    """A canvas as an NDI source. Needs NDI's library, which nobody but its maker may hand out: docs/st2110.md."""

    name: Annotated[str, StringConstraints(max_length=100)] = ""
    """What receivers list it as, behind the machine's name; left out, OpenVolume and the canvas."""
    groups: Annotated[str, StringConstraints(max_length=200)] = ""
    """NDI groups that see it, by commas; left out, the public one."""
