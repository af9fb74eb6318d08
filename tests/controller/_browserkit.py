"""A real browser for the page: headless Chromium, spoken to over its own debugging socket."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from controller.bench.browser import chromium

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-default-browser-check",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--mute-audio", "--disable-dev-shm-usage", "--remote-debugging-port=0",
)  # fmt: skip


class ProtocolError(RuntimeError):
    """The browser refused a command."""


class Page:
    """One page of the browser."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session, self._id = socket, session, 0

    def command(self, method: str, **values: Any) -> Any:
        """What a command of the DevTools protocol answers."""
        return _command(self._socket, method, values, self._session)

    def run(self, script: str) -> Any:
        """What a JavaScript expression comes to (promises are waited for)."""
        answer = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, *, timeout_ms: int = 20_000) -> Any:
        """What an expression comes to once it is true, also when the page is loaded anew meanwhile."""
        look = (
            f"new Promise((done, fail) => {{ const end = performance.now() + {timeout_ms}; const look = () => {{"
            f" const found = document.readyState === 'complete' && ({script}); if (found) done(found);"
            f" else if (performance.now() > end) fail(new Error({json.dumps('never: ' + script)}));"
            f" else setTimeout(look, 20); }}; look(); }})"
        )
        for _ in range(5):
            try:
                return self.run(look)
            except ProtocolError as error:
                if not re.search("navigated|context", str(error)):
                    raise
        return self.run(look)

    def write(self, where: str, text: str) -> None:
        """Type into the field that a selector finds."""
        self.run(f"document.querySelector({json.dumps(where)}).focus()")
        self.command("Input.insertText", text=text)

    def click(self, where: str) -> None:
        """Click in the middle of what a selector finds, with the mouse."""
        x, y = self.run(
            f"(() => {{ const at = document.querySelector({json.dumps(where)}).getBoundingClientRect();"
            f" return [at.x + at.width / 2, at.y + at.height / 2]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key)

    def picture(self) -> bytes:
        """How it looks, as PNG."""
        return base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])


@contextmanager
def open_page(url: str, *, width_px: int = 1440, height_px: int = 1000) -> Iterator[Page]:
    """A page in a browser of its own. Raises PeerMissingError: there is no Chromium."""
    program = chromium()
    with tempfile.TemporaryDirectory(prefix="ov-page-", ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                str(program), *_FLAGS, f"--user-data-dir={profile}", f"--window-size={width_px},{height_px}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "HOME": profile},
        )  # fmt: skip
        try:
            with connect(_address(browser), max_size=1 << 26, ping_interval=None) as socket:
                target = _command(socket, "Target.createTarget", {"url": "about:blank"})["targetId"]
                session = _command(socket, "Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
                page = Page(socket, session)
                page.command("Page.enable")
                page.command("Page.navigate", url=url)
                page.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")
                yield page
        finally:
            browser.kill()
            browser.wait(10)
            assert browser.stderr is not None
            browser.stderr.close()


_ids: Callable[[], int] = iter(range(1, 1 << 31)).__next__


def _command(socket: ClientConnection, method: str, values: dict[str, Any], session: str | None = None) -> Any:
    number = _ids()
    message: dict[str, Any] = {"id": number, "method": method, "params": values}
    if session is not None:
        message["sessionId"] = session
    socket.send(json.dumps(message))
    while True:
        answer = json.loads(socket.recv(timeout=60))
        if answer.get("id") == number:
            if "error" in answer:
                raise ProtocolError(f"{method}: {answer['error']['message']}")
            return answer["result"]


def _address(browser: subprocess.Popen[str]) -> str:
    assert browser.stderr is not None
    for line in browser.stderr:
        if found := re.search(r"DevTools listening on (ws://\S+)", line):
            return found[1]
    raise RuntimeError("the browser ended before it listened")
