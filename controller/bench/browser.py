"""A headless browser for peers that live in one (three.js): runs a page's commands, over loopback alone.

The page is a JavaScript module of `web/peers` that exports `commands`, an object of (async) functions. It is served by
this process together with npm's packages of `web/peers` and any other folder, asks for its next command and posts
the answer: JSON, or the bytes of an ArrayBuffer. WebGL runs on ANGLE over the system's EGL, so on the same driver,
with as many raster threads (LP_NUM_THREADS), as our own renderer.
"""

from __future__ import annotations

import contextlib
import json
import mimetypes
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

PEERS: Final = Path(__file__).resolve().parents[2] / "web" / "peers"
"""Pages and npm packages; part of a checkout, not of the wheel."""
START_S: Final = 60.0
ANSWER_S: Final = 120.0
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=gl-egl", "--ignore-gpu-blocklist",
    "--no-first-run", "--no-default-browser-check", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--mute-audio", "--disable-dev-shm-usage",
    "--disable-frame-rate-limit", "--disable-gpu-vsync", "--disable-gpu-watchdog",
)  # fmt: skip
_HTML: Final = """<!doctype html><meta charset="utf-8"><title>OpenVolume peer</title>
<script type="importmap">{"imports": {"three": "/node_modules/three/build/three.module.js",
"three/addons/": "/node_modules/three/examples/jsm/"}}</script>
<script type="module">
const say = (kind, body) => fetch("/answer?" + kind, {method: "POST", body});
try {
    const {commands} = await import("/PAGE");
    await say("json", "null");
    for (;;) {
        const {name, values} = await (await fetch("/next")).json();
        try {
            const out = await commands[name](...values);
            const raw = out instanceof ArrayBuffer || ArrayBuffer.isView(out);
            await say(raw ? "bytes" : "json", raw ? out : JSON.stringify(out ?? null));
        } catch (error) {
            await say("error", String(error) + "\\n" + (error && error.stack));
        }
    }
} catch (error) {
    await say("error", String(error) + "\\n" + (error && error.stack));
}
</script>"""


class PeerMissingError(RuntimeError):
    """A peer's parts are not on this machine; the text says which and how to get them."""


def chromium() -> Path:
    """The browser's program (`OPENVOLUME_CHROMIUM`, or what PATH has).

    Raises
    ------
    PeerMissingError
    """
    for name in (os.environ.get("OPENVOLUME_CHROMIUM"), *_NAMES):
        found = shutil.which(name) if name else None
        if found:
            return Path(found)
    raise PeerMissingError("no Chromium is on PATH -> install it (Debian: apt-get install chromium)")


class Browser:
    """One page in a headless Chromium of its own. Use it as a context manager, or `close` it."""

    def __init__(
        self, page: str, *, folders: Mapping[str, Path] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """`page` is a file of `web/peers`; `folders` are served as `/NAME/...`; `environment` goes to the browser too.

        Raises
        ------
        PeerMissingError : no browser, or npm's packages are not installed (`scripts/peers`).
        RuntimeError : the page did not start.
        """
        program = chromium()
        if not (PEERS / page).is_file() or not (PEERS / "node_modules").is_dir():
            raise PeerMissingError("npm's packages of web/peers are not installed -> run scripts/peers in a checkout")
        self._folders = {name: path.resolve() for name, path in (folders or {}).items()}
        self._page = page
        self._commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="peer-page", daemon=True).start()
        self._profile = tempfile.TemporaryDirectory(prefix="openvolume-peer-", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [
                str(program), *_FLAGS, f"--user-data-dir={self._profile.name}",
                f"http://127.0.0.1:{self._server.server_address[1]}/",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        try:
            self._answer(START_S)
        except BaseException:
            self.close()
            raise

    def ask(self, name: str, *values: Any) -> Any:
        """Run a command of the page with JSON values; its answer: what JSON holds, or bytes.

        Raises
        ------
        RuntimeError : the command failed in the page, or no answer came.
        """
        self._commands.put({"name": name, "values": values})
        return self._answer(ANSWER_S)

    def _answer(self, timeout_s: float) -> Any:
        try:
            kind, body = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise RuntimeError(f"the browser's page {self._page} gave no answer within {timeout_s:g} s") from None
        if kind == "error":
            raise RuntimeError(f"the browser's page {self._page} failed: {body.decode(errors='replace')}")
        return body if kind == "bytes" else json.loads(body)

    def _file(self, path: str) -> Path | None:
        name = unquote(urlsplit(path).path).lstrip("/")
        root, _, rest = name.partition("/")
        folder, inside = (self._folders[root], rest) if root in self._folders else (PEERS, name)
        file = (folder / inside).resolve()
        return file if file.is_file() and file.is_relative_to(folder.resolve()) else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        browser = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/next":
                    command = browser._commands.get()
                    if command is None:
                        self.close_connection = True
                        return
                    self._send(200, "application/json", json.dumps(command).encode())
                elif self.path == "/":
                    self._send(200, "text/html", _HTML.replace("PAGE", browser._page).encode())
                else:
                    file = browser._file(self.path)
                    if file is None:
                        self._send(404, "text/plain", b"")
                    else:
                        kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
                        self._send(200, kind or "application/octet-stream", file.read_bytes())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._send(200, "text/plain", b"")
                browser._answers.put((urlsplit(self.path).query, body))

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                # Isolated pages are given the fine clock.
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def processes(self) -> list[int]:
        """Ids of the browser's processes: its session's."""
        out = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid:
                    out.append(int(entry.name))
        return out

    def close(self) -> None:
        """End the browser and the server; its profile is removed."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._commands.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._profile.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
