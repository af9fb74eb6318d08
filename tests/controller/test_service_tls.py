"""The service over https: by this machine's own authority, for whoever checks it, and for nobody else."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from controller import client
from controller.access.certificates import fingerprint
from controller.client import Client
from controller.config import HttpConfig, load_config_text, speaks_tls

CLI = (sys.executable, "-P", "-c", "from controller.cli import main; main()")


def test_https_for_whoever_checks(servicekit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    authority = tmp_path / "home" / "openvolume" / "tls" / "ca.pem"
    more = "  http: {names: [brain.studio.lan]}\n"
    processes = servicekit.Processes(tmp_path, secured=True, more=more)

    async def work() -> None:
        async with Client(processes.url) as show:
            assert (await show.health()).name == "minimal"
            assert (await show.set("cameras/a", soft_edge_deg=1.25)).rev
            async with aclosing(show.events("show")) as events:
                assert (await anext(events)).type == "snapshot"
        async with Client(processes.url, authority=authority) as show:
            assert (await show.health()).name == "minimal"
        monkeypatch.setattr(client, "run_here", lambda _: processes.run)
        async with Client.here() as show:
            assert (await show.health()).name == "minimal"

    try:
        processes.began()
        assert json.loads(processes.run.service_address.read_bytes())["tls"] is True
        asyncio.run(work())
        # Who does not know the authority is not let in by mistake; who speaks plainly gets nothing.
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{processes.url}/api/v1/health")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{processes.url.replace('https', 'http')}/api/v1/health")
        told = subprocess.run(
            [*CLI, "access", "ca", str(tmp_path / "ca.pem")], capture_output=True, text=True, timeout=60
        )
        assert told.returncode == 0, told.stderr
        assert (tmp_path / "ca.pem").read_bytes() == authority.read_bytes()
        assert fingerprint(authority.read_bytes()) in told.stdout
    finally:
        processes.close()


@pytest.mark.parametrize(
    ("http", "host", "secured"),
    [
        (HttpConfig(), "127.0.0.1", False),
        (HttpConfig(), "::1", False),
        (HttpConfig(), "0.0.0.0", True),
        (HttpConfig(), "192.168.10.5", True),
        (HttpConfig(tls=False), "0.0.0.0", False),
        (HttpConfig(tls=True), "127.0.0.1", True),
    ],
)
def test_plain_off_loopback_only_when_it_is_said(http: HttpConfig, host: str, secured: bool) -> None:
    assert speaks_tls(http, host) is secured


def test_what_is_open_in_the_clear_is_warned_of(servicekit: ModuleType, tmp_path: Path) -> None:
    from controller.config import compile_loaded, load_config

    base = load_config("minimal").source
    loaded = load_config_text(base + "\ncontrol:\n  http: {host: 0.0.0.0, tls: false}\n", base_dir=tmp_path)
    warned = [str(warning) for warning in compile_loaded(loaded).warnings]
    assert any("in the clear" in warning for warning in warned)
