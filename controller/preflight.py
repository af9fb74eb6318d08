"""`openvolume preflight CONFIG`: what this machine and stage lack before a show, red or green, each with its mend."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from controller.config import LoadedConfig, compile_config, load_config
from controller.processors.wishes import EMULATED
from renderer.config import asset_path
from renderer.scene_file import files_of
from runtime.clock import NS_PER_MS, SystemClock
from runtime.config import TimeConfig, udp_address
from runtime.errors import ReferenceOpenError
from runtime.references.inputs import address_of, open_wire
from runtime.references.ptp import PtpMonitor
from runtime.references.system import SystemDiscipline
from runtime.rights import Rights, take_fifo
from runtime.ring import ROOT
from stage.compiled import CompiledStage
from stage.errors import OpenVolumeError

Colour = Literal["green", "amber", "red"]

SHM_SLOTS = 8
EXIT_LACKS_PART = 3
PTP_PATIENCE_NS = 200 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: green is well, amber works with a loss that is named, red will not work."""

    part: str
    colour: Colour
    detail: str
    mend: str = ""


def preflight(loaded: LoadedConfig, *, running: bool = False) -> list[Finding]:
    """Look at everything `openvolume run` will need. Nothing is left open or changed.

    running : the show runs here already and has its ports; whether they are free is left out.
    """
    findings: list[Finding] = []
    stage = compile_config(loaded)
    findings.append(Finding("configuration", "green", f"{loaded.name}: {len(stage.cabinets)} cabinets in order"))
    for look in (_graphics, _rights, _cores):
        findings.extend(look())
    findings.extend(_clock(loaded.config.time))
    findings.extend(_timecode(loaded.config.time))
    findings.extend(_shared_memory(stage))
    findings.extend(_processors(stage))
    findings.extend(_spoken_to(loaded, stage))
    findings.extend(_windows(loaded, stage))
    findings.extend(_streams(loaded))
    findings.extend(_files(loaded))
    if not running:
        findings.extend(_ports(loaded))
    return findings


def preflight_command(config: str, *, as_json: bool = False) -> int:
    """Print the findings; 0 when nothing is red, else 3."""
    findings = preflight(load_config(config))
    if as_json:
        sys.stdout.write(as_text(findings) + "\n")
    else:
        marks = {"green": "\x1b[32m", "amber": "\x1b[33m", "red": "\x1b[31m"} if sys.stdout.isatty() else {}
        wide = max(len(finding.part) for finding in findings)
        for finding in findings:
            mend = f" -> {finding.mend}" if finding.mend else ""
            colour = f"{marks.get(finding.colour, '')}{finding.colour:5}{chr(27) + '[0m' if marks else ''}"
            sys.stdout.write(f"{colour}  {finding.part:{wide}}  {finding.detail}{mend}\n")
    return EXIT_LACKS_PART if any(finding.colour == "red" for finding in findings) else 0


def as_text(findings: list[Finding]) -> str:
    """The findings as JSON."""
    return json.dumps([asdict(finding) for finding in findings], indent=2)


def _graphics() -> Iterator[Finding]:
    from renderer.device import Device

    try:
        device = Device.create()
    except OpenVolumeError as error:
        problem = error.problems[0]
        yield Finding("graphics", "red", problem.detail, problem.mend)
        return
    try:
        found = device.capabilities
        if found.software:
            yield Finding(
                "graphics",
                "amber",
                f"{found.renderer}: pictures are drawn on the CPU",
                "fine for the demo and tests; put a GPU with GL 4.5 into a machine that feeds walls",
            )
        else:
            yield Finding("graphics", "green", found.renderer)
    finally:
        device.release()


def _rights() -> Iterator[Finding]:
    found: list[Rights] = []
    # On a thread of its own: this process keeps its class.
    thread = threading.Thread(target=lambda: found.append(take_fifo(25)))
    thread.start()
    thread.join()
    rights = found[0]
    if rights.rt_class:
        yield Finding("real-time rights", "green", f"SCHED_FIFO {rights.rt_class} is granted")
    else:
        yield Finding("real-time rights", "amber", rights.why, rights.mend)


def _clock(config: TimeConfig) -> Iterator[Finding]:
    """Whether somebody keeps the system clock, whether TAI can be right, and how ptp4l stands, if it is there."""
    clock = SystemClock()
    monitor = PtpMonitor(Path(config.ptp.socket) if config.ptp.socket else None, domain=config.ptp.domain)
    discipline = SystemDiscipline(clock, monitor)
    try:
        asked = monitor.ask()
        if asked:
            # Over a socket of this machine the answers are there in milliseconds.
            clock.sleep_until(clock.now_ns() + PTP_PATIENCE_NS)
        sync = discipline.read(clock.now_ns())
    finally:
        discipline.close()
    followed = config.reference in ("auto", "system")
    for weight, problem in sync.alarms:
        if not followed or weight == "info":
            yield Finding(
                "clock", "green", f"{problem.detail}; the show does not need it" if not followed else problem.detail
            )
        else:
            yield Finding("clock", "red" if weight == "critical" else "amber", problem.detail, problem.mend)
    if not sync.alarms:
        error_ms = sync.kernel.max_error_ns / NS_PER_MS
        detail = f"kept, to {error_ms:.3g} ms at worst; TAI is {clock.tai_offset_s} s ahead of UTC"
        yield Finding("clock", "green", detail)
    ptp = sync.ptp
    if ptp is not None and ptp.locked:
        yield Finding("PTP", "green", f"{ptp.interface} follows {ptp.identity}, {ptp.offset_ns} ns off")
    elif monitor.forbidden:
        mend = "run as root or its group, or linuxptp 4 with uds_ro_address /var/run/ptp4lro"
        yield Finding("PTP", "amber", "ptp4l is there, but this user may not ask it", mend)
    elif asked and ptp is None:
        detail = f"ptp4l is there, but says nothing in domain {config.ptp.domain}"
        yield Finding("PTP", "amber", detail, "set time/ptp/domain to ptp4l's domainNumber")


def _timecode(config: TimeConfig) -> Iterator[Finding]:
    """Whether the outside time code can be listened to."""
    if config.timecode is None:
        return
    where = f"{config.timecode.type} {address_of(config.timecode)}"
    try:
        open_wire(config.timecode, SystemClock()).close()
    except ReferenceOpenError as error:
        problem = error.problems[0]
        yield Finding("time code", "red", f"{where}: {problem.detail}", problem.mend)
    else:
        yield Finding("time code", "green", f"{where} can be listened to")


def _cores() -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    if cores < 4:
        yield Finding("processor cores", "amber", f"{cores}: conductor, node and service share them", "use 4 or more")
    else:
        yield Finding("processor cores", "green", str(cores))


def _shared_memory(stage: CompiledStage) -> Iterator[Finding]:
    scale = stage.scale
    need = sum((c.width_px // scale) * (c.height_px // scale) * 4 * SHM_SLOTS for c in stage.canvases.values())
    need += 64 << 20
    try:
        free = shutil.disk_usage(ROOT).free
    except OSError as error:
        yield Finding("shared memory", "red", f"{ROOT}: {error.strerror}", "mount a tmpfs there")
        return
    text = f"{need / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free in {ROOT}"
    if free < need:
        yield Finding("shared memory", "red", text, "enlarge it (container: --shm-size), or raise render.scale")
    else:
        yield Finding("shared memory", "green", text)


def _processors(stage: CompiledStage) -> Iterator[Finding]:
    for processor in stage.processors.values():
        share = processor.load.get("share", 0.0)
        text = f"{processor.model}: {share:.0%} of its tightest limit, {processor.latency_frames:g} frames of delay"
        yield Finding(f"processor {processor.id}", "green" if share <= 1.0 else "red", text)


def _spoken_to(loaded: LoadedConfig, stage: CompiledStage) -> Iterator[Finding]:
    """Processors that answer: what arrives, how they are, and what is not as the show wants it."""
    processors = loaded.config.stage.processors
    # Emulated ones come and go with the run.
    if not any(processor.control and processor.control.address != EMULATED for processor in processors.values()):
        return
    import asyncio

    from controller.processors.alarms import rate_fits
    from controller.processors.command import looked_at

    rate_hz = float(stage.rate.hz)
    for name, kept in asyncio.run(
        looked_at(processors, next(iter(loaded.config.scenes), ""), folder=loaded.base_dir)
    ).items():
        part = f"processor {name}"
        if kept.reading is None or kept.link != "ready":
            problem = kept.trouble
            yield Finding(part, "red", problem.detail if problem else kept.link, problem.mend if problem else "")
            continue
        signal = kept.reading.signal
        if signal.present is False:
            yield Finding(part, "red", f"nothing arrives at its input {signal.port}", "check cable and output")
        elif signal.rate_hz is not None and not rate_fits(signal.rate_hz, rate_hz):
            text = f"its input runs at {signal.rate_hz:g} Hz, the show at {rate_hz:g}"
            yield Finding(part, "red", text, "set the output to the show's rate or a whole multiple of it")
        for trouble in kept.reading.health.troubles:
            yield Finding(part, "amber", trouble, "see to it at the processor")
        for drift in kept.drift:
            yield Finding(part, "red", drift.words, "openvolume processors CONFIG --restore")
        if not kept.drift:
            yield Finding(part, "green", f"{kept.reading.identity.maker} answers, set as the show wants it")


def _windows(loaded: LoadedConfig, stage: CompiledStage) -> Iterator[Finding]:
    """Monitors that canvases are shown on: there, at the right mode, rate, place and scale."""
    config = loaded.config
    if not any(output.monitors for output in config.outputs.values()):
        return
    from controller.windows.look import window_findings
    from controller.windows.wishes import wishes_of

    bits = {name: canvas.encoding.bits for name, canvas in stage.canvases.items()}
    wishes = wishes_of(config.windows, config.outputs, stage.canvases, bits, rate=stage.rate, scale=stage.scale)
    yield from window_findings(wishes)


def _streams(loaded: LoadedConfig) -> Iterator[Finding]:
    """Whether canvases that are sent can leave: by interfaces that are here, to where a route leads."""
    for name, output in loaded.config.outputs.items():
        if output.st2110 is not None:
            from controller.st2110.network import address_of, interface_of
            from controller.st2110.qdisc import held_by_kernel
            from controller.st2110.sdp import Path as Way
            from controller.st2110.stream import opened

            for config in output.st2110.paths:
                way = Way(config.destination, config.port, address_of(config.source), config.source_port)
                said = f"{config.source} to {config.destination}:{config.port}"
                try:
                    opened(way, output.st2110.ttl).close()
                except OSError as error:
                    mend = "name an interface of this machine that has an IPv4 address and a route there"
                    yield Finding(f"stream {name}", "red", f"{said}: {error.strerror or error}", mend)
                else:
                    here = interface_of(way.source)
                    if held_by_kernel(way):
                        yield Finding(f"stream {name}", "green", f"{said}, held by the kernel until its time (fq)")
                    else:
                        named = here.name if here is not None and here.name != "lo" else ""
                        mend = f"`tc qdisc replace dev {named} root fq` has the kernel pace it" if named else ""
                        yield Finding(f"stream {name}", "green", said, mend)
        if output.v4l2 is not None:
            there = os.access(output.v4l2.device, os.W_OK)
            said = f"{output.v4l2.device} is there" if there else f"{output.v4l2.device} is not there, or not writable"
            mend = "" if there else "modprobe v4l2loopback video_nr=10; the show runs without"
            yield Finding(f"video device {name}", "green" if there else "amber", said, mend)
        if output.ndi is not None:
            from controller.ndi.source import NdiError, library

            try:
                library(f"outputs/{name}/ndi")
            except NdiError as error:
                problem = error.problems[0]
                yield Finding(f"NDI source {name}", "amber", problem.detail, f"{problem.mend}; the show runs without")
            else:
                yield Finding(f"NDI source {name}", "green", "its library is here")


def _files(loaded: LoadedConfig) -> Iterator[Finding]:
    for name, scene in loaded.config.scenes.items():
        files = [file for _, file in files_of(scene)]
        try:
            for file in files:
                asset_path(loaded.base_dir, file, path=f"scenes/{name}")
        except OpenVolumeError as error:
            problem = error.problems[0]
            yield Finding(f"scene {name}", "red", problem.detail, problem.mend)
        else:
            yield Finding(f"scene {name}", "green", ", ".join(Path(file).name for file in files) or "nothing to load")


def _ports(loaded: LoadedConfig) -> Iterator[Finding]:
    control = loaded.config.control
    yield _port("control page", socket.SOCK_STREAM, control.http.host, control.http.port)
    if control.osc is not None:
        yield _port("OSC control", socket.SOCK_DGRAM, control.osc.host, control.osc.port)
    if control.nmos is not None:
        yield _port("NMOS", socket.SOCK_STREAM, control.nmos.host, control.nmos.port)
    seen: set[str] = set()
    for name, source in loaded.config.tracking.sources.items():
        if source.protocol == "zmq" or source.listen in seen:
            continue
        seen.add(source.listen)
        line = source.serial_line
        if line is not None:
            there = os.access(line.device, os.R_OK | os.W_OK)
            said = f"{line.device} is there" if there else f"{line.device} is not there, or may not be opened"
            mend = "" if there else "plug it in; the show runs without and looks again every second"
            yield Finding(f"tracking {name}", "green" if there else "amber", said, mend)
            continue
        host, port = udp_address(source.listen)
        yield _port(f"tracking {name}", socket.SOCK_DGRAM, host, port)


def _port(part: str, kind: int, host: str, port: int) -> Finding:
    protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    where = f"{protocol} {host}:{port}"
    first = host.partition(".")[0]
    multicast = kind == socket.SOCK_DGRAM and first.isdigit() and 224 <= int(first) <= 239
    with contextlib.closing(socket.socket(socket.AF_INET, kind)) as probe:
        try:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("" if multicast else host, port))
        except OSError as error:
            return Finding(
                part, "red", f"{where}: {error.strerror}", "end the program that uses it, or change the port"
            )
    return Finding(part, "green", f"{where} is free")
