"""The peers' benchmark: a missing peer is named with its mend, ratios are taken round by round, pages are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.bench import bench_command, browser, scene, scene_peers
from controller.bench.browser import PeerMissingError
from controller.bench.paired import ratios, told


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    ours, theirs = [[1.0, 2.0, 9.0], [3.0, 3.0, 3.0]], [[4.0, 4.0, 4.0], [4.0, 6.0, 60.0]]
    assert ratios(ours, theirs) == [0.5, 0.5]
    assert told(ours) == {"median": 2.5, "min": 1.0, "rounds": [2.0, 3.0]}


def test_a_missing_peer_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    figures = {"benchmark": "scene --peers", "missing": {"pygfx": "no pygfx -> run scripts/peers"}}
    monkeypatch.setattr(scene_peers, "run_peers", lambda rounds, folder=None: figures)
    assert scene.run(peers=True) is figures
    assert bench_command("scene", peers=True) == 3
    assert "scene/pygfx: not measured: no pygfx -> run scripts/peers" in capsys.readouterr().err


def test_without_a_browser_its_mend_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OPENVOLUME_CHROMIUM", raising=False)
    with pytest.raises(PeerMissingError, match="chromium"):
        browser.Browser("scene.js")


def test_without_the_packages_their_mend_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("OPENVOLUME_CHROMIUM", str(program))
    monkeypatch.setattr(browser, "PEERS", tmp_path)
    with pytest.raises(PeerMissingError, match="scripts/peers"):
        browser.Browser("scene.js")
