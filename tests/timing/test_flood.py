"""T9 on real sockets: as many datagrams as one process can send, in a network of the test's own, beside two trackers.

Senders kept out by an allow-list, addresses that are nobody's, a port where nobody listens, rubbish on a socket open to
all. Both trackers stay as young as they are in calm, nothing of theirs is lost, and every slot has its plan.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.timing, pytest.mark.timeout(240)]

SCENE = Path(__file__).with_name("_flood_scene.py")
OWN_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
FLOOD_HZ = 50_000
"""Slower is no flood; usually it is 200,000 and more."""
FLOODS = ["foreign", "spoofed", "wrong_port", "open_garbage"]
OLDER_MS = 3.0
ROUNDS = 3


def own_network() -> tuple[str, ...]:
    """What starts a program in a network of its own; nothing where that is refused: then loopback has to do."""
    try:
        refused = subprocess.run([*OWN_NETWORK, "true"], check=False, capture_output=True).returncode
    except FileNotFoundError:
        return ()
    return () if refused else OWN_NETWORK


class Scene:
    """The scene, with windows of so many seconds."""

    def __init__(self, seconds: float) -> None:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [*own_network(), sys.executable, "-P", str(SCENE), str(seconds)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip

    def windows(self, names: list[str]) -> dict[str, Any]:
        """These windows, one after the other; those that cannot be had here are left out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdin.write(" ".join(names) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        return {name: window for name, window in json.loads(line).items() if window is not None}

    def end(self) -> dict[str, Any]:
        """What was sent, taken and dropped in all."""
        said, errors = self._process.communicate(timeout=30.0)
        assert self._process.returncode == 0, errors
        told: dict[str, Any] = json.loads(said)
        return told

    def close(self) -> None:
        """End it, however far it is."""
        self._process.kill()
        self._process.communicate()


def faulty(windows: dict[str, Any], calm: list[Any]) -> dict[str, list[str]]:
    """What is not as it should be, by window; `calm`: the windows without a flood before and after these."""
    out: dict[str, list[str]] = {}
    for name, window in windows.items():
        wrong = []
        for camera, age_ms in window["age_ms"].items():
            limit_ms = max(w["age_ms"][camera]["p99"] for w in calm) + OLDER_MS
            if age_ms["p99"] > limit_ms:
                wrong.append(f"camera {camera} is {age_ms['p99']:.2f} ms old, not {limit_ms:.2f}")
        if window["gaps"] or window["skipped"]:
            wrong.append(f"{window['gaps']} gaps, {window['skipped']} slots without a plan")
        if window.get("flood_hz", FLOOD_HZ + 1) <= FLOOD_HZ:
            wrong.append(f"it was no flood: {window['flood_hz']:.0f} a second")
        if wrong:
            out[name] = wrong
    return out


def faults(told: dict[str, Any]) -> list[str]:
    """What is not as it should be in all."""
    # The allow-list and the guard have done it, in the kernel.
    out = [
        f"{name}: {told['dropped'][name]} dropped" for name in ("listed", "open") if told["dropped"][name] <= FLOOD_HZ
    ]
    sent, listed, opened = told["sent"], told["samples"]["listed"], told["samples"]["open"]
    if listed < sent:
        out.append(f"listed: {listed} samples of {sent}")
    # Until the flood is noticed, this socket's own buffer runs over.
    if opened < 0.99 * sent:
        out.append(f"open: {opened} samples of {sent}")
    return out


@pytest.mark.parametrize("seconds", [1.25, pytest.param(2.5, marks=pytest.mark.slow)])
def test_a_flood_costs_no_other_stream_anything(seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(seconds)
    try:
        wanted, calm, rounds = FLOODS, scene.windows(["calm"])["calm"], []
        for _ in range(ROUNDS):
            told = scene.windows([*wanted, "calm"])
            # Every window lies between two calm ones.
            before, calm = calm, told["calm"]
            seen = told if rounds else {"before": before, **told}
            rounds.append(faulty(seen, [before, calm]))
            with capsys.disabled():
                sys.stdout.write(f"\n{json.dumps(seen)}\n{rounds[-1]}\n")
            if not rounds[-1]:
                break
            # Other programs share this machine: what was wrong is measured again.
            wanted = [name for name in rounds[-1] if name in FLOODS]
        assert not rounds[-1], rounds
        in_all = scene.end()
        assert not faults(in_all), in_all
    finally:
        scene.close()
