"""The configuration of NMOS."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from stage.config import Label, Section

Registry = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9_.\[\]:-]{1,250}/?$")]


class NmosConfig(Section):
    """Where NMOS controllers find this show, and the registry it tells them through."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    """Address its node and connection APIs listen on, and are announced with: one that controllers reach."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 7480
    """0 = any free port."""
    registries: Annotated[list[Registry], Field(max_length=8)] = []
    """IS-04 registries, such as http://10.0.0.5:8010; the first that answers is used. None: controllers must be told
    the address (there is no mDNS)."""
    label: Label = ""
    """What controllers show; left out, the show's name."""

    @field_validator("host")
    @classmethod
    def _is_announced(cls, value: str) -> str:
        if value in ("0.0.0.0", "::"):  # noqa: S104 - it is refused
            raise ValueError("it is announced to controllers: give the address of one interface")
        return value
