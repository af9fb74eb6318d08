"""Control surfaces: what comes in over OSC and MIDI."""

from __future__ import annotations

from fastapi.responses import Response

from controller.api.http import Here, answers, router, send_json
from controller.api.views_surfaces import MidiView, OscView, SurfacesView

routes = router()


@routes.get("/surfaces", responses=answers(SurfacesView), tags=["running"])
async def get_surfaces(control: Here) -> Response:
    """What comes in over OSC and MIDI, why something of it did nothing, and the newest key that was pressed."""
    midi = {
        name: MidiView(
            name,
            one.config.device,
            one.is_open,
            one.problem,
            one.heard,
            one.messages,
            dict(sorted(one.refused.items())),
        )
        for name, one in control.midi.items()
    }
    osc = control.osc
    told = OscView(osc.datagrams, osc.messages, dict(sorted(osc.refused.items())))
    return send_json(SurfacesView(told, midi))
