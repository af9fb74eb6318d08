"""NMOS in the running show: facts in, the two APIs on a port of their own, the registry kept told.

It lives in the service's process and event loop. Where streams go is asked of the sender, which alone changes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from controller.access.roles import READS
from controller.api import present_streams
from controller.api.control import Control
from controller.api.streams import NotConnectedError
from controller.errors import ShowLocked
from controller.messages import Connected, NotConnected
from controller.nmos import node_api
from controller.nmos.answers import Answer, app_of, error
from controller.nmos.config import NmosConfig
from controller.nmos.connection import Activation, ConnectedSender
from controller.nmos.connection_api import ConnectionApi
from controller.nmos.registration import TURN_S, Registration
from controller.nmos.resources import Facts, Shelf
from controller.processors.emulators.server import serving
from controller.show_lock import held
from controller.st2110.network import interfaces
from controller.st2110.role import configured_connection
from controller.status import Alarm
from runtime.clock import NS_PER_S

log = logging.getLogger(__name__)

LONGEST_S: Final = 3.0
"""An activation at once is waited for."""
FACTS_S: Final = 0.5


class NmosNode:
    """The node of a show. port : the one it is announced with."""

    def __init__(self, control: Control, config: NmosConfig, *, host: str, port: int) -> None:
        self._control, self._config, self._host, self._port = control, config, host, port
        self._seed = f"{machine_id()}/{control.desk.loaded.name}"
        self._interfaces = interfaces()
        self.shelf = Shelf()
        self.senders: dict[str, ConnectedSender] = {}
        self._canvas: dict[str, str] = {}
        """Of each sender."""
        self._orders: dict[str, tuple[int, int]] = {}
        """Of each sender whose activation waits: the order's number, and which sender process has it."""
        self._waits: dict[str, asyncio.Future[Connected | NotConnected]] = {}
        self.connections = ConnectionApi(
            self.senders,
            activate=self.activate,
            cancel=self._cancel,
            description=self._description,
            tai_ns=control.clock.tai_ns,
        )
        self.look()

    async def handle(self, method: str, path: str, body: Any) -> Answer:
        """Answer one request."""
        parts = [part for part in path.split("/") if part]
        match parts:
            case ["x-nmos"] | []:
                listed = ["x-nmos/"] if not parts else ["connection/", "node/"]
                return Answer(200, listed) if method == "GET" else error(405, method)
            case ["x-nmos", "node", *below]:
                self.look()
                return node_api.answer(self.shelf, method, below)
            case ["x-nmos", "connection", *below]:
                if method not in READS:
                    try:
                        held(self._control.desk.show.lock, "streams")
                    except ShowLocked as locked:
                        return error(423, str(locked.problems[0]))
                return await self.connections.answer(method, below, body)
        return error(404, path)

    def look(self) -> None:
        """Take in how things are."""
        control = self._control
        outputs = control.desk.loaded.config.outputs
        names = [name for name, output in outputs.items() if output.st2110 is not None]
        clock = control.backend.conductor.clock if control.backend.conductor is not None else None
        facts = Facts(
            seed=self._seed,
            label=self._config.label or control.desk.loaded.name,
            hostname=socket.gethostname(),
            host=self._host,
            port=self._port,
            rate=control.desk.stage.rate,
            interfaces=self._interfaces,
            streams={name: present_streams.status_of(control.desk, control.backend, name) for name in names},
            grandmaster="".join(c for c in clock.grandmaster if c.isalnum()) if clock is not None else "",
            locked=clock is not None and clock.state in ("locked", "slewing"),
        )
        self.shelf.update(facts, tai_ns=control.clock.tai_ns())
        self._canvas = {facts.id("sender", name): name for name in names}
        for id_ in [known for known in self.senders if known not in self._canvas]:
            del self.senders[id_]
        for id_, name in self._canvas.items():
            if id_ not in self.senders:
                self.senders[id_] = self._sender(name)

    async def activate(self, id_: str, activation: Activation) -> Answer:
        """Have the sender do what is staged, at once or at its time."""
        sender, canvas = self.senders[id_], self._canvas[id_]
        try:
            self._order(id_, activation)
        except NotConnectedError as fault:
            sender.failed()
            return error(500, str(fault))
        if not activation.immediate:
            return Answer(202, sender.staged())
        waits = self._waits[id_] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(LONGEST_S):
                done = await waits
        except TimeoutError:
            self._cancel(id_)
            sender.failed()
            return error(500, f"canvas {canvas} was not moved in time")
        finally:
            del self._waits[id_]
        if isinstance(done, NotConnected):
            return error(500, "; ".join(str(problem) for problem in done.problems))
        told = sender.done(done.tai_ns)
        self.look()
        return Answer(200, told)

    def renew_orders(self) -> None:
        """An activation that waits in a sender that is gone is told its successor."""
        process = self._process()
        for id_, (_, told_to) in list(self._orders.items()):
            sender = self.senders.get(id_)
            if sender is None or sender.waiting is None:
                del self._orders[id_]
            elif process != told_to:
                with contextlib.suppress(NotConnectedError):
                    self._order(id_, sender.waiting)

    # --- inside -------------------------------------------------------------------------------------------------

    def _sender(self, canvas: str) -> ConnectedSender:
        control = self._control

        def configured() -> Any:
            config = control.desk.loaded.config.outputs[canvas].st2110
            assert config is not None
            return configured_connection(config)

        return ConnectedSender(
            status=lambda: present_streams.status_of(control.desk, control.backend, canvas),
            configured=configured,
            interfaces=lambda: self._interfaces,
        )

    def _order(self, id_: str, activation: Activation) -> None:
        connection = self.senders[id_].connection()
        number = self._control.stream_hand.order(
            self._canvas[id_], connection, lambda answer: self._answered(id_, answer), at_tai_ns=activation.at_tai_ns
        )
        self._orders[id_] = (number, self._process())

    def _answered(self, id_: str, answer: Connected | NotConnected) -> None:
        self._orders.pop(id_, None)
        sender, waits = self.senders.get(id_), self._waits.get(id_)
        if sender is None:
            return
        if isinstance(answer, NotConnected):
            sender.failed()
            log.error("%s is not connected: %s", answer.canvas, "; ".join(map(str, answer.problems)))
        if waits is not None and not waits.done():
            waits.set_result(answer)
        elif isinstance(answer, Connected) and sender.waiting is not None:
            sender.done(answer.tai_ns)
            self.look()

    def _cancel(self, id_: str) -> None:
        order = self._orders.pop(id_, None)
        if order is not None:
            self._control.stream_hand.disregard(self._canvas[id_], order[0])

    def _description(self, id_: str) -> str:
        return present_streams.status_of(self._control.desk, self._control.backend, self._canvas[id_]).sdp

    def _process(self) -> int:
        sender = self._control.backend.sender
        return 0 if sender is None else sender.pid


@contextlib.asynccontextmanager
async def nmos(control: Control, config: NmosConfig | None) -> AsyncIterator[NmosNode | None]:
    """Serve as configured while the block runs; a port in use is an alarm, not the end."""
    if config is None:
        yield None
        return
    import httpx

    async with contextlib.AsyncExitStack() as stack:
        node: list[NmosNode] = []

        async def handle(method: str, path: str, body: Any) -> Answer:
            return await node[0].handle(method, path, body) if node else error(500, "it starts")

        try:
            address = await stack.enter_async_context(serving(app_of(handle), host=config.host, port=config.port))
        except OSError as fault:
            where = f"{config.host}:{config.port}"
            log.error("no NMOS: %s: %s", where, fault.strerror)
            detail = f"NMOS does not listen: {where}: {fault.strerror}"
            mend = "end the program that holds the port, or give another one"
            now_ns = control.clock.now_ns()
            values = {"address": where, "error": fault.strerror or str(fault)}
            path = "control/nmos/port"
            control.own_alarms["nmos"] = Alarm("nmos.port", path, detail, "warning", mend, now_ns, values)
            yield None
            return
        host, _, port = address.rpartition(":")
        node.append(NmosNode(control, config, host=host, port=int(port)))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=2.0, trust_env=False))
        logging.getLogger("httpx").setLevel(logging.WARNING)
        registration = Registration(
            config.registries,
            node[0].shelf,
            client,
            now_s=lambda: control.clock.now_ns() / NS_PER_S,
            faults=(httpx.HTTPError, OSError),
        )
        keeping = asyncio.create_task(_keep(control, node[0], registration))
        try:
            log.info("NMOS at http://%s/x-nmos/", address)
            yield node[0]
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            await registration.leave()


async def _keep(control: Control, node: NmosNode, registration: Registration) -> None:
    """Tell the registry what is new, and people when it cannot be told."""
    while True:
        try:
            node.look()
            node.renew_orders()
            await registration.turn()
            _alarm(control, registration)
        except Exception:
            log.exception("NMOS failed; it goes on")
        await asyncio.sleep(FACTS_S if registration.state != "none" else TURN_S)


def _alarm(control: Control, registration: Registration) -> None:
    detail, mend = "", ""
    if registration.state == "searching" and registration.trouble:
        detail = f"not in the registry: {registration.trouble}"
        mend = "check control.nmos.registries and the registry; controllers can still be given this node's address"
    elif registration.refused:
        detail = "; ".join(f"the registry refuses {name}: {words}" for name, words in registration.refused.items())
        mend = "report it, with the registry's log"
    known = control.own_alarms.get("nmos")
    if not detail:
        control.own_alarms.pop("nmos", None)
    elif known is None or known.detail != detail:
        since_ns = known.since_ns if known is not None else control.clock.now_ns()
        control.own_alarms["nmos"] = Alarm(
            "nmos.registry", "control/nmos/registries", detail, "warning", mend, since_ns,
            {"state": registration.state, "refused": sorted(registration.refused)},
        )  # fmt: skip


def machine_id() -> str:
    """What tells this machine from others for ever, as far as it says."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return socket.gethostname()
