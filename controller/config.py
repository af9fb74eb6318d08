"""The whole configuration: the root type over every package's section, and the loader that names every fault.

`load_config("demo")`, `load_config("my/stage.yaml")` or `load_config_text(yaml)` give a `LoadedConfig`;
`compile_config(loaded)` gives the compiled stage.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field, replace
from hashlib import sha256
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

import configs
from controller.library.config import LibraryConfig
from controller.midi_config import MidiConfig
from controller.ndi.config import NdiConfig
from controller.nmos.config import NmosConfig
from controller.processors.wishes import problems_of as processor_problems
from controller.st2110.config import St2110Config
from controller.st2110.config import problems_of as sending_problems
from controller.v4l2.config import V4l2Config
from controller.windows.config import OutputPart, WindowConfig
from controller.windows.wishes import window_problems
from renderer.config import PositionConfig, RenderConfig, SceneConfig
from renderer.scene_check import scene_problems
from renderer.scene_file import with_scene_files
from runtime.config import TimeConfig, time_problems, udp_address
from stage.compile import Compilation, OutputDelay, compile_with_warnings
from stage.compiled import CompiledStage
from stage.config import CameraConfig, FrameRate, Id, Label, Section, StageConfig
from stage.documents import MAX_BYTES, Document, join, read_yaml, validate, with_lines
from stage.errors import ConfigError, Problem
from stage.walls import unknown
from tracking.config import TrackingConfig
from tracking.lens_table import LensGrid, LensTableError, distortion_faults, read_lens_table
from tracking.osc_config import OscMap, read_mapping_file

Port = Annotated[int, Field(ge=0, le=65535)]


class OutputConfig(Section):
    """What happens to one canvas after it is drawn."""

    sink: Literal["ring"] = "ring"
    """ring: shared memory, read by the processor emulators and by programs on this machine."""
    delay_frames: Annotated[int, Field(ge=-60, le=60)] = 0
    """Frames this canvas is held back by choice, on top of the padding that brings all walls together; negative: it is
    handed over so many frames before the others."""
    delay_ms: Annotated[float, Field(ge=-1000.0, le=1000.0)] = 0.0
    """What the chain after the processor adds until light, measured; negative: it is quicker than its figures say."""
    monitors: Annotated[tuple[OutputPart, ...], Field(max_length=64)] = ()
    """Shown on these monitors of `windows`, pixel for pixel; a canvas may be spread over several."""
    st2110: St2110Config | None = None
    """Sent over the network as well; left out, it is not."""
    v4l2: V4l2Config | None = None
    """Written into a video device of this machine as well; left out, it is not."""
    ndi: NdiConfig | None = None
    """An NDI source as well, where NDI's library is installed; left out, it is not."""


class EngineConfig(Section):
    """Another program that draws from our plans (the open frame contract, docs/outputs.md)."""

    canvases: Annotated[tuple[Id, ...], Field(max_length=64)] = ()
    """Canvases whose pictures are its own, as the processor gets them."""
    cameras: Annotated[tuple[Id, ...], Field(max_length=16)] = ()
    """Cameras whose inner pictures are its own, in linear ACEScg light."""
    enabled: bool = True
    """Whether the show begins with it; it can be switched while it runs."""
    wait_ms: Annotated[float, Field(ge=0.0, le=100.0)] = 8.0
    """So long, at most, a frame's drawing waits for its inner pictures, while it is alive."""
    hold_frames: Annotated[int, Field(ge=0, le=1000)] = 12
    """Frames its last good picture stays when no other comes in time; then our own scene is shown."""


class DrawingNodeConfig(Section):
    """A process that draws: it has a GPU context of its own."""

    canvases: Annotated[tuple[Id, ...], Field(min_length=1)]
    """What it draws. A camera's view on several of them is drawn in parts, each by the node that shows it."""


def _network(text: str) -> str:
    ip_network(text, strict=False)
    return text


Network = Annotated[str, AfterValidator(_network)]
"""`10.20.0.0/16`, or one address."""


def _host_port(text: str) -> str:
    udp_address(text)
    return text


class HttpConfig(Section):
    """Where the HTTP API, the WebSocket and the page listen."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    """Loopback unless it is set: 0.0.0.0 lets the network in."""
    port: Port = 7400
    """0 = any free port."""
    tls: bool | None = None
    """Left out: https off loopback, http on it. false: http everywhere, in the clear. A change holds from the next
    start on."""
    names: Annotated[list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]], Field(max_length=16)] = []
    """More names and addresses the certificate is for, such as one that a DNS gives this machine."""


class OscConfig(Section):
    """Where OSC control listens (tracking has ports of its own)."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    """Address of the interface it listens on."""
    port: Port = 7401
    """0 = any free port."""
    allow: Annotated[list[Network], Field(max_length=64)] = []
    """Networks it is heard from; empty: whoever reaches the interface."""
    role: Literal["viewer", "director", "operator"] = "operator"
    """What whoever sends to it may change: OSC says nothing of who sends."""
    feedback: Annotated[list[Annotated[str, AfterValidator(_host_port)]], Field(max_length=16)] = []
    """Surfaces that are told what changes, host:port; others ask for it by /feedback."""


class LedgerConfig(Section):
    """What is kept of every frame: when each step happened, and which packet made it."""

    keep_mb: Annotated[float, Field(ge=1.0, le=1_000_000.0)] = 500.0
    """Size of the ledger files of this show; the oldest go. An hour of one camera at 24 frames takes about 8."""


class ControlConfig(Section):
    """How operators and programs reach the running show, and what is kept of it."""

    http: HttpConfig = HttpConfig()
    osc: OscConfig | None = OscConfig()
    """`osc: null` turns OSC control off."""
    midi: MidiConfig | None = None
    """Keys and faders that speak MIDI."""
    ledger: LedgerConfig | None = LedgerConfig()
    """`ledger: null` stores nothing. A change holds from the next start on."""
    nmos: NmosConfig | None = None
    """Canvases that are sent announce themselves to NMOS controllers, which may connect them. A change holds from the
    next start on."""


class OpenVolumeConfig(Section):
    """A whole show: the room, its cameras and what tracks them, the worlds on its walls."""

    openvolume: Literal[1]
    """Version of this format."""
    name: Id
    """Names the show in the user's state folder and in every report."""
    label: Label = ""
    rate: FrameRate
    """Frames a second: 23.976, 24, 25, 29.97, 30, 47.952, 48, 50, 59.94, 60 or 120."""
    time: TimeConfig = TimeConfig()
    stage: StageConfig
    cameras: dict[Id, CameraConfig] = {}
    tracking: TrackingConfig = TrackingConfig()
    scenes: dict[Id, SceneConfig] = {}
    positions: dict[Id, PositionConfig] = {}
    render: RenderConfig = RenderConfig()
    library: LibraryConfig | None = None
    """A folder of assets and scene files to choose from."""
    outputs: dict[Id, OutputConfig] = {}
    """By canvas; a canvas that is not named has an output with defaults."""
    windows: dict[Id, WindowConfig] = {}
    """Monitors that canvases are shown on: those that feed the processors. One window per graphics card."""
    engines: dict[Id, EngineConfig] = {}
    """Other programs that draw canvases or inner pictures."""
    nodes: dict[Id, DrawingNodeConfig] = {}
    """Who draws which canvases; left out, one node called `main` draws all. A change holds from the next start on."""
    control: ControlConfig = ControlConfig()


MAIN_NODE: Final = "main"
"""The node of a show that names none."""


def nodes_of(config: OpenVolumeConfig) -> dict[str, tuple[str, ...]]:
    """The canvases of every node, in the stage's order."""
    if not config.nodes:
        return {MAIN_NODE: tuple(config.stage.canvases)}
    return {
        name: tuple(canvas for canvas in config.stage.canvases if canvas in node.canvases)
        for name, node in config.nodes.items()
    }


def _engine_problems(config: OpenVolumeConfig) -> list[Problem]:
    """Engines draw what there is, and each thing is drawn by one."""
    code, problems = "controller.engines", list[Problem]()
    drawn_by: dict[tuple[str, str], str] = {}
    for name, engine in config.engines.items():
        for what, chosen, known in (
            ("canvases", engine.canvases, config.stage.canvases),
            ("cameras", engine.cameras, config.cameras),
        ):
            path = join("engines", name, what)
            for one in chosen:
                if one not in known:
                    problems.append(unknown(what.removesuffix("s").removesuffix("e"), path, one, known))
                elif (what, one) in drawn_by:
                    detail = f"it is drawn by `{drawn_by[what, one]}` already"
                    problems.append(Problem(code, path, detail, one, "name it once"))
                else:
                    drawn_by[what, one] = name
    return problems


def _node_problems(config: OpenVolumeConfig) -> list[Problem]:
    """Every canvas has exactly one node."""
    code, problems = "controller.nodes", list[Problem]()
    drawn_by: dict[str, str] = {}
    for name, node in config.nodes.items():
        path = join("nodes", name, "canvases")
        for canvas in node.canvases:
            if canvas not in config.stage.canvases:
                problems.append(unknown("canvas", path, canvas, config.stage.canvases))
            elif canvas in drawn_by:
                detail = f"it is drawn by `{drawn_by[canvas]}` already"
                problems.append(Problem(code, path, detail, canvas, "name every canvas once"))
            else:
                drawn_by[canvas] = name
    left = [canvas for canvas in config.stage.canvases if canvas not in drawn_by]
    if config.nodes and left:
        mend = "name every canvas at one of the nodes, or leave `nodes` out"
        problems.append(Problem(code, "nodes", f"nobody draws {', '.join(left)}", left, mend))
    return problems


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration that is valid by itself, with the text it came from."""

    config: OpenVolumeConfig
    path: Path | None
    """The file, absolute; None when it came as text."""
    source: str
    sha256: str
    """Of the source's bytes: tells whether the file changed since a show was stored."""
    base_dir: Path
    """Folder that file names in it are relative to."""
    lines: dict[str, int] = field(default_factory=dict, repr=False)
    """1-based line of every path."""
    scene_files: dict[Id, Path] = field(default_factory=dict)
    """The file of every scene that has one of its own; `config.scenes` holds what is in them."""

    @property
    def name(self) -> str:
        return self.config.name


def config_path(name_or_path: str | Path) -> Path:
    """The file meant on a command line: a path, or the name of a shipped configuration.

    Raises
    ------
    ConfigError : neither exists.
    """
    text = str(name_or_path)
    if text in configs.SHIPPED and not Path(text).is_file():
        return configs.find(text)
    path = Path(text).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        mend = f"give a YAML file, or one of {', '.join(configs.SHIPPED)}"
        raise ConfigError(Problem("controller.config_file", text, what, None, mend))
    return path.resolve()


def load_config(name_or_path: str | Path) -> LoadedConfig:
    """The configuration of a file or of a shipped name.

    Raises
    ------
    ConfigError : with every problem, each with path, line, value and mend.
    """
    path = config_path(name_or_path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = Problem("controller.config_file", str(path), f"cannot be read: {error.strerror}", None, "")
        raise ConfigError(problem) from error
    return _load(data, path=path, base_dir=path.parent)


def load_config_text(text: str, path: Path | None = None, *, base_dir: Path | None = None) -> LoadedConfig:
    """The configuration in a YAML text. File names in it are relative to `base_dir`, or to the folder of `path`
    (where the text came from), or to the current folder.

    Raises
    ------
    ConfigError
    """
    return _load(
        text.encode("utf-8", "surrogatepass"), path=path, base_dir=base_dir or (path.parent if path else Path.cwd())
    )


def load_config_data(data: dict[str, Any], *, base_dir: Path) -> LoadedConfig:
    """The configuration in plain data (a JSON body); its `source` is the same as YAML.

    Raises
    ------
    ConfigError
    """
    import json

    # JSON is YAML: the text can be stored and loaded again like any other.
    text = json.dumps(data, indent=1, ensure_ascii=False)
    config, problems = validate(OpenVolumeConfig, Document(data))
    if config is None:
        raise ConfigError(*problems)
    return _with_scenes(LoadedConfig(config, None, text, sha256(text.encode()).hexdigest(), base_dir))


def _load(data: bytes, *, path: Path | None, base_dir: Path) -> LoadedConfig:
    document = read_yaml(data)
    config, problems = validate(OpenVolumeConfig, document)
    if config is None:
        raise ConfigError(*problems)
    text = data.decode("utf-8-sig")
    return _with_scenes(LoadedConfig(config, path, text, sha256(data).hexdigest(), base_dir, document.lines))


def _with_scenes(loaded: LoadedConfig) -> LoadedConfig:
    """The same with its scene files read in; they count to what tells whether the configuration changed."""
    scenes, files, problems = with_scene_files(loaded.config.scenes, loaded.base_dir)
    if problems:
        raise ConfigError(*with_lines(problems, loaded.lines))
    if not files:
        return loaded
    digest = sha256(loaded.sha256.encode())
    for file in files.values():
        digest.update(file.read_bytes())
    config = loaded.config.model_copy(update={"scenes": scenes})
    return replace(loaded, config=config, sha256=digest.hexdigest(), scene_files=files)


def compile_config(loaded: LoadedConfig) -> CompiledStage:
    """The compiled stage of a configuration; what its sections say about each other is checked too.

    Raises
    ------
    ConfigError : with every problem and its line.
    """
    return compile_loaded(loaded).stage


def compile_loaded(loaded: LoadedConfig) -> Compilation:
    """As `compile_config`, with the warnings."""
    config = loaded.config
    problems = _references(loaded)
    result: Compilation | None = None
    try:
        result = compile_with_warnings(
            name=config.name,
            rate=config.rate,
            stage=config.stage,
            cameras=config.cameras,
            base_dir=loaded.base_dir,
            scale=config.render.scale,
            delays={name: OutputDelay(o.delay_frames, _delay_ms(config, o)) for name, o in config.outputs.items()},
        )
    except ConfigError as error:
        problems += error.problems
    if result is not None:
        for name, output in config.outputs.items():
            if output.st2110 is not None and name in result.stage.canvases:
                problems += sending_problems(name, output.st2110, result.stage.canvases[name], config.render.scale)
    if result is None or problems:
        raise ConfigError(*with_lines(problems, loaded.lines))
    return Compilation(result.stage, with_lines((*result.warnings, *_warnings(config)), loaded.lines))


def _delay_ms(config: OpenVolumeConfig, output: OutputConfig) -> float:
    """What comes between a slot and light, beside processor and panels: the wait for the blank is known beforehand
    where frames begin before it."""
    waits = config.time.reference == "display" and output.monitors
    return output.delay_ms + (config.time.display_lead_ms if waits else 0.0)


def lens_tables(loaded: LoadedConfig) -> dict[str, LensGrid]:
    """What every lens table file holds that the configuration names, by the name it gives it; files at fault are left
    out (`compile_config` tells them)."""
    found: dict[str, LensGrid] = {}
    for source in loaded.config.tracking.sources.values():
        if source.lens_table is not None and source.lens_table.file:
            with contextlib.suppress(LensTableError):
                found[source.lens_table.file] = read_lens_table(loaded.base_dir / source.lens_table.file)
    return found


def osc_maps(loaded: LoadedConfig) -> dict[str, OscMap]:
    """What every OSC mapping file says that the configuration names, by the name it gives it; files at fault are left
    out (`compile_config` tells them)."""
    found: dict[str, OscMap] = {}
    for source in loaded.config.tracking.sources.values():
        if source.osc.file:
            with contextlib.suppress(ConfigError):
                found[source.osc.file] = read_mapping_file(loaded.base_dir / source.osc.file)
    return found


def _osc_file_problems(config: OpenVolumeConfig, base_dir: Path) -> list[Problem]:
    """Faults of the OSC mapping files, each with the file's own place and line."""
    problems = []
    for name, source in config.tracking.sources.items():
        if not source.osc.file:
            continue
        file, path = base_dir / source.osc.file, join("tracking/sources", name, "osc/file")
        try:
            read_mapping_file(file)
        except ConfigError as error:
            for fault in error.problems:
                line = "" if fault.line is None else f":{fault.line}"
                inside = fault.path.removeprefix(str(file)).lstrip(":")
                detail = f"{source.osc.file}{line} {inside}".rstrip() + f": {fault.detail}"
                problems.append(Problem("tracking.osc_file", path, detail, fault.value, fault.mend))
    return problems


def _lens_table_problems(config: OpenVolumeConfig, base_dir: Path) -> list[Problem]:
    """Faults of the lens table files, each with the file's own place and line."""
    problems = []
    for name, source in config.tracking.sources.items():
        if source.lens_table is None or not source.lens_table.file:
            continue
        file = source.lens_table.file
        path = join("tracking/sources", name, "lens_table/file")
        try:
            grid = read_lens_table(base_dir / file)
        except LensTableError as error:
            for fault in error.problems:
                inside = f"{file}{f':{fault.line}' if fault.line is not None else ''} {fault.path}".strip()
                detail = f"{inside}: {fault.detail}" if fault.path or fault.line is not None else fault.detail
                problems.append(Problem(LensTableError.code, path, detail, fault.value, fault.mend))
            continue
        camera = config.cameras.get(source.camera)
        mode = None if camera is None else camera.sensor.modes.get(camera.sensor.mode)
        if mode is not None:
            reach_mm = math.hypot(mode.width_mm * mode.squeeze, mode.height_mm) / 2.0
            problems += [
                Problem(LensTableError.code, path, f"{file}: {fault}", None, "check the coefficients' units and order")
                for fault in distortion_faults(grid, reach_mm)[:5]
            ]
    return problems


def _references(loaded: LoadedConfig) -> list[Problem]:
    """Names in one section that must exist in another, and files that must exist."""
    config, base_dir = loaded.config, loaded.base_dir
    problems = [
        unknown("camera", join("tracking/sources", name, "camera"), source.camera, config.cameras)
        for name, source in config.tracking.sources.items()
        if source.camera and source.camera not in config.cameras
    ]
    problems += [
        unknown("camera", join("tracking/relays", name, "camera"), relay.camera, config.cameras)
        for name, relay in config.tracking.relays.items()
        if relay.camera not in config.cameras
    ]
    problems += _lens_table_problems(config, base_dir)
    problems += _osc_file_problems(config, base_dir)
    problems += time_problems(config.time, config.rate)
    problems += processor_problems(config.stage.processors, config.scenes, base_dir)
    problems += window_problems(config.windows, config.outputs, config.stage.canvases)
    if config.time.reference == "display" and not any(output.monitors for output in config.outputs.values()):
        detail = "no canvas is shown on a monitor whose blank could be followed"
        mend = "give an output `monitors`, or follow something else"
        problems.append(Problem("controller.no_monitors", "time/reference", detail, "display", mend))
    problems += _node_problems(config)
    problems += _engine_problems(config)
    for name, scene in config.scenes.items():
        if scene.position is not None and scene.position not in config.positions:
            problems.append(unknown("position", join("scenes", name, "position"), scene.position, config.positions))
        for fault in scene_problems(scene, base_dir, config.tracking.subjects):
            # What lies in a scene file is told with its name: lines here are the configuration's.
            detail = fault.detail if name not in loaded.scene_files else f"{loaded.scene_files[name]}: {fault.detail}"
            problems.append(replace(fault, path=join("scenes", name, fault.path), detail=detail))
    return problems


def _warnings(config: OpenVolumeConfig) -> list[Problem]:
    warnings = []
    listeners = [("control/http/host", config.control.http.host)]
    if config.control.osc is not None:
        listeners.append(("control/osc/host", config.control.osc.host))
    if config.control.nmos is not None:
        listeners.append(("control/nmos/host", config.control.nmos.host))
    for path, host in listeners:
        if not is_loopback(host):
            detail = "open to the network, not only to this machine"
            warnings.append(Problem("controller.open_to_network", path, detail, host, "127.0.0.1 keeps it local"))
    if not is_loopback(config.control.http.host) and not speaks_tls(config.control.http, config.control.http.host):
        detail = "passwords and keys cross the network in the clear"
        mend = "leave it out: https by this machine's own certificate"
        warnings.append(Problem("controller.in_the_clear", "control/http/tls", detail, False, mend))
    tracked = {source.moves for source in config.tracking.sources.values()}
    warnings += [
        Problem("controller.untracked", join("cameras", name), "no tracking source moves it", None, "add one")
        for name in config.cameras
        if name not in tracked
    ]
    first: dict[str, str] = {}
    for name, source in config.tracking.sources.items():
        other = first.setdefault(source.moves, name)
        if source.moves and other != name:
            detail = f"camera `{source.camera}` follows source `{other}`; this one is heard but does not move it"
            warnings.append(
                Problem("controller.second_source", join("tracking/sources", name), detail, None, "remove one of them")
            )
    if not config.scenes:
        warnings.append(Problem("controller.no_scene", "scenes", "nothing to show on the walls", None, "add a scene"))
    return warnings


def speaks_tls(http: HttpConfig, host: str) -> bool:
    """Whether the API speaks https where it listens."""
    return http.tls if http.tls is not None else not is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether a listening address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def config_schema() -> dict[str, Any]:
    """JSON Schema of the configuration file."""
    from stage.described import described

    return described(OpenVolumeConfig.model_json_schema(), OpenVolumeConfig, Section)
