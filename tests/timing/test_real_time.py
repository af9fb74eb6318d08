"""The demo in real time on this machine: every slot has a picture, every repeat a reason, flooded or not.

Absolute figures belong to `openvolume bench`; here only what must hold everywhere is asserted, and repeats are compared
with a metronome of equal class: best of several windows, and a window in which the machine was not ours is void.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from controller.config import load_config
from stage.plan import REASONS
from stage.rate import parse_rate

pytestmark = [pytest.mark.timing, pytest.mark.timeout(240)]

WINDOW = 200
WINDOWS = [1, pytest.param(3, marks=pytest.mark.slow)]
MOST_WINDOWS = 6
"""Where none was good, the machine gets more: other programs share it."""
SPARE = 2
"""Repeats forgiven in the best window beyond the metronome's: a machine of one's own needs none."""

FLOOD = textwrap.dedent("""
    import http.client, os, sys, threading, time
    host, port = sys.argv[1].removeprefix("http://").rstrip("/").split(":")
    paths = ["/api/v1/cameras", "/api/v1/frames", "/api/v1/nodes", "/api/v1/stage"]
    # What asks is not the product's: it may have what is left.
    os.nice(10)
    count = [0] * 4
    def ask(i):
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        while True:
            connection.request("GET", paths[i])
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (paths[i], answer.status)
            count[i] += 1
    for i in range(4):
        threading.Thread(target=ask, args=(i,), daemon=True).start()
    for line in sys.stdin:
        print(sum(count), flush=True)
""")


@pytest.fixture
def demo(tmp_path: Path, runkit: ModuleType) -> Path:
    """The shipped demo with ports of its own."""
    loaded = load_config("demo")
    listen = f"      listen: 127.0.0.1:{runkit.free_udp_port()}"
    text, changed = re.subn(r"^      listen: 127\.0\.0\.1:\d+", listen, loaded.source, flags=re.MULTILINE)
    assert changed == 1
    # Beside its assets, so that they are found; not in the package's own folder.
    for folder in ("assets", "scenes"):
        (tmp_path / folder).symlink_to(loaded.base_dir / folder)
    path = tmp_path / "demo.yaml"
    path.write_text(text + "\ncontrol:\n  http: {port: 0}\n  osc: null\n")
    return path


def holds(run: Any, first: int, wanted: int) -> None:
    """What holds of every slot on any machine."""
    reports = run.reports()[first:]
    assert len(reports) >= wanted
    assert all(b.frame == a.frame + 1 for a, b in pairwise(reports)), "every slot is reported, once, in order"
    for report in reports:
        for canvas in report.canvases.values():
            assert canvas.reason in REASONS
            assert canvas.presented_frame <= report.frame
            if canvas.presented_frame != report.frame:
                assert canvas.reason not in ("none", "no_plan"), "a repeat has a reason"
        assert len({(c.presented_frame, c.reason) for c in report.canvases.values()}) == 1, "one swap group"
    plans = {plan.frame: plan for plan in run.plans()}
    assert {plan.config_version for plan in plans.values()} == {1}
    for name in run.dir.canvases():
        slots = run.canvas(name).slots
        assert {slot.config_version for slot in slots if slot.plan_hash} == {1}, "no mixed versions"
        shown = [slot.frame for slot in slots]
        assert all(b >= a for a, b in pairwise(shown)), "pictures never run backwards"


def best(windows: list[Any]) -> Any:
    """The window that tells most; skips when the machine was not ours in any."""
    valid = [window for window in windows if not window.void]
    if not valid:
        pytest.skip(f"every window is void: {[window.void for window in windows]}")
    return min(valid, key=lambda window: window.extra)


def watched(run: Any, watch: Any, rate: str, least: int, **options: Any) -> list[Any]:
    """Windows in a row, `least` of them; more until one is good."""
    windows: list[Any] = []
    while len(windows) < least or (
        len(windows) < MOST_WINDOWS and not any(not window.void and window.extra <= SPARE for window in windows)
    ):
        window = watch(run, rate, WINDOW, **options)
        end = len(run.reports()) + WINDOW
        run.until(lambda end=end: len(run.follow(*run.reports_ring).slots) >= end, "slots", patience_s=60.0)
        windows.append(window.close())
    return windows


@pytest.mark.parametrize("least", WINDOWS)
def test_the_demo_alone_and_while_the_api_is_flooded(
    start: Callable[..., Any], demo: Path, watch: Any, least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(str(demo), "--simulate", "--port", "0")
    run.running("conductor", "node-main", "service", "darkroom", "simulator")
    rate = str(parse_rate(load_config("demo").config.rate))
    for name in run.dir.canvases():
        run.canvas(name)
    # The start's own work (imports, first photo) is over when every process has run a moment.
    run.until(lambda: len(run.reports()) > 48, "a calm beginning")
    first = len(run.reports())
    alone = watched(run, watch, rate, least)
    holds(run, first, WINDOW * least)

    flood = subprocess.Popen(
        [sys.executable, "-P", "-c", FLOOD, run.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert flood.stdin is not None
        assert flood.stdout is not None
        first = len(run.reports())
        flooded = watched(run, watch, rate, least, others=[flood.pid])
        flood.stdin.write("how many\n")
        flood.stdin.flush()
        served = int(flood.stdout.readline())
    finally:
        flood.kill()
        flood.communicate()
    holds(run, first, WINDOW * least)
    assert served > 200, "the flood was one"
    assert all(run.child(name)["restarts"] == 0 for name in run.state()["children"])
    with capsys.disabled():
        sys.stdout.write(f"\nalone {alone}\nflooded ({served} requests) {flooded}\n")
    assert best(alone).extra <= SPARE
    assert best(flooded).extra <= SPARE


@pytest.mark.parametrize("least", WINDOWS)
@pytest.mark.parametrize("rate", [pytest.param("60", marks=pytest.mark.slow), "120"])
def test_a_small_stage_at_high_rates(
    start: Callable[..., Any], runkit: ModuleType, tmp_path: Path, watch: Any, rate: str, least: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    text = load_config("minimal").source
    for pattern, new in (
        (r"listen: 127\.0\.0\.1:\d+", f"listen: 127.0.0.1:{runkit.free_udp_port()}"),
        (r"^rate: .*$", f"rate: {rate}"),
        (r"^  scale: 8$", "  scale: 16\n  outer_px: 64\n  max_inner_px: 128"),
    ):
        text, changed = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert changed == 1, pattern
    path = tmp_path / "fast.yaml"
    path.write_text(text + "\ncontrol:\n  http: {port: 0}\n  osc: null\n")
    run = start(str(path), "--simulate", "--port", "0")
    run.running("conductor", "node-main", "service", "darkroom", "simulator")
    run.canvas("main")
    run.until(lambda: len(run.reports()) > 2 * int(rate), "a calm beginning")
    first = len(run.reports())
    windows = watched(run, watch, rate, least)
    holds(run, first, WINDOW * least)
    with capsys.disabled():
        sys.stdout.write(f"\n{rate} Hz {windows}\n")
    assert best(windows).extra <= SPARE
