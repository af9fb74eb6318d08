"""Control surfaces as they are sent; see `controller.api.views`."""

from __future__ import annotations

from controller.api.views import View


class MidiView(View, frozen=True):
    """One MIDI device."""

    id: str
    device: str
    open: bool
    problem: str
    """Why it is not heard; empty: it is."""
    heard: str
    """The newest message, in words: press a key to learn its row."""
    messages: int
    refused: dict[str, int]
    """Messages that did nothing, by reason."""


class OscView(View, frozen=True):
    """OSC control."""

    datagrams: int
    messages: int
    refused: dict[str, int]


class SurfacesView(View, frozen=True):
    """Control surfaces: what comes in, and why something does nothing."""

    osc: OscView
    midi: dict[str, MidiView]
