"""A whole run on two monitors of an X server: what nodes hand over is what is seen, whoever dies."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from controller.action import write_action
from controller.windows.status import decode_windows
from renderer.sinks.ring import codes_of
from runtime.ring import RingReader

WINDOWS = """
windows:
  gpu:
    display: "{display}"
    monitors:
      a: {{connector: DUMMY0}}
      b: {{connector: DUMMY1}}
outputs:
  main:
    monitors:
      - {{monitor: a, canvas_px: [0, 0, 800, 880]}}
      - {{monitor: b, canvas_px: [800, 0, 608, 880]}}
"""


@pytest.fixture(scope="module")
def kit() -> ModuleType:
    path = Path(__file__).parents[1] / "controller" / "windows" / "_xorgkit.py"
    if "_xorgkit" not in sys.modules:
        spec = importlib.util.spec_from_file_location("_xorgkit", path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["_xorgkit"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["_xorgkit"])
    module = sys.modules["_xorgkit"]
    module.need_xorg()
    return module


def handed_over(run: Any) -> NDArray[np.uint32]:
    """The newest picture of the canvas, as a display shows it."""
    reader = RingReader.open(run.dir.canvas("main"))
    slot = reader.latest()
    assert slot is not None
    codes = codes_of(reader.shape, slot.data).astype(np.uint32)
    reader.close()
    return np.kron(codes[..., 0] << 16 | codes[..., 1] << 8 | codes[..., 2], np.ones((8, 8), np.uint32))


def test_what_is_handed_over_is_what_is_seen(
    start: Callable[..., Any], config: Callable[..., Path], kit: ModuleType, tmp_path: Path
) -> None:
    server = kit.XServer(tmp_path)
    try:
        server.monitor("DUMMY0", kit.Mode(800, 880, 24), (0, 0))
        server.monitor("DUMMY1", kit.Mode(608, 880, 48), (800, 0))
        # Drawn at an eighth, shown at full size.
        path = config()
        path.write_text(path.read_text() + WINDOWS.format(display=server.name))
        run = start(str(path), "--simulate", "--port", "0")
        run.running("conductor", "node-main", "service", "windows")

        def shown() -> int:
            reader = RingReader.try_open(run.dir.windows_status)
            slot = reader.latest() if reader is not None else None
            return decode_windows(slot.data).windows["gpu"].shown if slot is not None and reader is not None else 0

        run.until(lambda: shown() > 24, "a second of pictures on the monitors")

        def same() -> bool:
            seen = server.pixels((0, 0, 1408, 880))
            return bool((seen == handed_over(run)[:880, :1408]).all()) and len(np.unique(seen)) > 10

        with httpx.Client(base_url=run.url, timeout=20) as client:
            # The picture stands still: what is in the ring is on the screens, to the pixel.
            write_action(run.dir.action_word, "hold")
            run.until(same, "the picture that was handed over is seen")
            run.kill("node-main")
            assert same(), "the last picture stays when the node is gone"
            run.kill("windows")
            seen = server.pixels((0, 0, 1408, 880))
            assert len(np.unique(seen)) > 10, "it stays when the presenter is gone"
            write_action(run.dir.action_word, "none")
            run.running("node-main", "windows")
            run.until(lambda: shown() > 24, "pictures again")
            frames = client.get("/api/v1/frames").json()
            assert frames["latency_ms"]["receive_to_present"]["p50"] > 0
            (window,) = client.get("/api/v1/windows").json().values()
            assert (window["id"], window["open"], window["canvases"]) == ("gpu", True, ["main"])
            assert {name: m["multiple"] for name, m in window["monitors"].items()} == {"a": 1, "b": 2}
            assert client.get("/api/v1/windows/gpu").json()["box_px"] == [0, 0, 1408, 880]
            assert client.get("/api/v1/windows/none").status_code == 404
            metrics = client.get("/metrics").text
            assert 'openvolume_monitor_there{monitor="b"} 1.0' in metrics
            assert "openvolume_window_frames_total" in metrics
            server.off("DUMMY1")
            codes = run.until(
                lambda: (
                    {a["code"] for a in client.get("/api/v1/alarms").json()["alarms"]}
                    & {"windows.monitor_off", "windows.monitor_lost"}
                ),
                "the alarm",
            )
            assert codes
        assert run.end(signal.SIGTERM) == 0
        assert not server.pixels((0, 0, 800, 880)).any()
    finally:
        server.close()
