"""The demo in real time on this machine: every slot has a picture, every repeat a reason, flooded or not.

Absolute figures belong to `openvolume bench`; here only what must hold everywhere is asserted, and repeats are compared
with a metronome of equal class: 200 slots in which the machine was ours, the best that were seen. By default only the
flooded demo is watched so: what holds there holds alone, and `test_timing_product.py` measures the demo alone.
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
"""Slots, seen in pieces: so that a void piece costs no whole window."""
MOST_WINDOWS = 4
"""Where none was good, the machine gets more: other programs share it."""
MOST_VOID = 8
"""Pieces."""
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


def in_pieces(rate: str) -> int:
    """Of how many pieces a window is: none of them is shorter than a metronome's start can be made up for in."""
    return 4 if parse_rate(rate).hz <= 30 else 1


def best(pieces: list[Any], in_window: int) -> int | None:
    """Repeats beyond the metronome's in the window that tells most; None: the machine was not ours in any."""
    windows = [pieces[n : n + in_window] for n in range(len(pieces) - in_window + 1)]
    valid = [window for window in windows if not any(piece.void for piece in window)]
    return min((sum(piece.extra for piece in window) for window in valid), default=None)


def judged(pieces: list[Any], rate: str) -> None:
    """Skips when the machine was not ours."""
    extra = best(pieces, in_pieces(rate))
    if extra is None:
        pytest.skip(f"every window is void: {[piece.void for piece in pieces]}")
    assert extra <= SPARE, pieces


def watched(run: Any, watch: Any, rate: str, least: int, **options: Any) -> list[Any]:
    """Pieces in a row, for `least` windows; more until a window is good."""
    in_window = in_pieces(rate)
    slots = WINDOW // in_window
    pieces: list[Any] = []
    while len(pieces) < least * in_window or (
        ((extra := best(pieces, in_window)) is None or extra > SPARE)
        and sum(not piece.void for piece in pieces) < MOST_WINDOWS * in_window
        and sum(bool(piece.void) for piece in pieces) < MOST_VOID
    ):
        piece = watch(run, rate, slots, **options)
        end = len(run.reports()) + slots
        run.until(lambda end=end: len(run.follow(*run.reports_ring).slots) >= end, "slots", patience_s=60.0)
        pieces.append(piece.close())
    return pieces


@pytest.mark.parametrize(("quiet", "least"), [(0, 1), pytest.param(3, 3, marks=pytest.mark.slow)])
def test_the_demo_alone_and_while_the_api_is_flooded(
    start: Callable[..., Any], demo: Path, watch: Any, quiet: int, least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """`quiet`: windows of it alone, before the `least` of the flood."""
    run = start(str(demo), "--simulate", "--port", "0")
    run.running("conductor", "node-main", "service", "darkroom", "simulator")
    rate = str(parse_rate(load_config("demo").config.rate))
    for name in run.dir.canvases():
        run.canvas(name)
    # The start's own work (imports, first photo) is over when every process has run a moment.
    run.until(lambda: len(run.reports()) > 48, "a calm beginning")
    first = len(run.reports())
    alone = watched(run, watch, rate, quiet) if quiet else []
    holds(run, first, WINDOW * quiet)

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
    if quiet:
        judged(alone, rate)
    judged(flooded, rate)


@pytest.mark.parametrize("least", [1, pytest.param(3, marks=pytest.mark.slow)])
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
    pieces = watched(run, watch, rate, least)
    holds(run, first, WINDOW * least)
    with capsys.disabled():
        sys.stdout.write(f"\n{rate} Hz {pieces}\n")
    judged(pieces, rate)
