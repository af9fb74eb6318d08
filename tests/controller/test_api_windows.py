"""The API of windows: what is configured, and what the presenter says. (Whole runs: tests/e2e/test_windows.py)"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from controller.api.present_health import alarms
from controller.api.present_windows import windows
from controller.windows.config import MonitorConfig, OutputPart, WindowConfig
from controller.windows.status import MonitorStatus, WindowsStatus, WindowStatus

MONITOR = MonitorStatus("DP-1", "BRO SX40 7", (0, 0), (1920, 1080), 48.0, 2)
SHOWN = WindowStatus(":0", "a card", (0, 0, 1920, 1080), 10, 10, ["main"], {"a": MONITOR}, pace="blank", frame=7)


def desk(*parts: str) -> Any:
    config = SimpleNamespace(
        windows={
            "gpu": WindowConfig(display=":0", monitors={"a": MonitorConfig(connector="DP-1")}),
            "spare": WindowConfig(display=":0", monitors={"b": MonitorConfig(connector="DP-2")}),
        },
        outputs={"main": SimpleNamespace(monitors=[OutputPart(monitor=name) for name in parts])},
    )
    return SimpleNamespace(loaded=SimpleNamespace(config=config))


def test_a_show_without_windows_has_none(house: Any) -> None:
    assert house.get("windows") == {}
    answer = house.client.get("/api/v1/windows/gpu")
    assert answer.status_code == 404
    assert "configure windows" in answer.json()["mend"]


def test_windows_that_show_something_are_told() -> None:
    told = SimpleNamespace(windows=WindowsStatus(1, 2, "running", 5, {"gpu": SHOWN}))
    found: Any = windows(desk("a"), told)  # type: ignore[arg-type]
    assert list(found) == ["gpu"]
    view = found["gpu"]
    assert (view.rev, view.open, view.frame, view.pace, view.monitors["a"].multiple) == (5, True, 7, "blank", 2)
    # Before the presenter says anything.
    view = windows(desk("a"), SimpleNamespace(windows=None))["gpu"]  # type: ignore[arg-type]
    assert (view.rev, view.open, view.display, view.box_px, view.frame) == (0, False, ":0", None, -1)
    assert windows(desk(), told) == {}  # type: ignore[arg-type]


def test_a_presenter_that_is_gone_is_an_alarm() -> None:
    class Backend:
        nodes: dict[str, Any] = {}
        ledger = SimpleNamespace(rate=SimpleNamespace(hz=24.0), latest=lambda _: [])
        windows: Any = None
        age: int | None = 0

        def __getattr__(self, name: str) -> None:
            """Of no other process is anything known."""

        def age_ns(self, _: Any) -> int | None:
            return self.age

    backend: Any = Backend()
    backend.windows = WindowsStatus(1, 2, "running", 5, {"gpu": SHOWN})

    def told() -> list[tuple[str, str]]:
        return [(alarm.code, alarm.severity) for alarm in alarms(backend, []) if alarm.path == "windows"]

    assert told() == []
    backend.age = None
    assert told() == [("process.gone", "critical")]
    # Where nothing is shown on monitors nobody misses it.
    backend.windows = WindowsStatus(1, 2, "running", 5)
    assert told() == []
