"""What people call the protocols."""

from __future__ import annotations

from typing import Final

NAMES: Final = {
    "freed": "FreeD D1",
    "opentrackio": "OpenTrackIO",
    "mosys_f4": "Mo-Sys F4",
    "stype": "stYpe",
    "psn": "PosiStageNet",
    "rttrpm": "RTTrPM",
    "natnet": "NatNet (OptiTrack)",
    "vmc": "VMC",
    "osc": "OSC",
    "zmq": "OpenVolume's own messages (ZeroMQ)",
    "live_link": "Live Link JSON",
    "cooke": "Cooke /i (a lens: no poses)",
}
