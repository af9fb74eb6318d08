"""The `openvolume` command. Each command loads its own part only when it runs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stage.errors import OpenVolumeError

app = typer.Typer(
    name="openvolume",
    help="A real-time controller for LED volumes.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

# Newer typers carry their own copy of click: the class is taken from where typer has it.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file, or demo, yongchuan or minimal.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Show = Annotated[
    str | None,
    typer.Option("--run", help="Which running show: its run's name, or its URL (the key: OPENVOLUME_KEY)."),
]
Run = Annotated[str | None, typer.Option("--run", help="Which running show; default: the only one.")]


class Kind(StrEnum):
    """Documents that have a schema."""

    config = "config"
    plan = "plan"


class Action(StrEnum):
    """What every wall does at once."""

    black = "black"
    hold = "hold"
    safe = "safe"
    work = "work"
    none = "none"


@app.command()
def check(config: Config, json: Json = False) -> None:
    """Tell what a configuration stands for, or everything that is wrong with it."""
    from controller.check import check_command

    raise typer.Exit(check_command(config, as_json=json))


@app.command()
def schema(kind: Annotated[Kind, typer.Argument(help="config: the YAML file; plan: the frame plan.")]) -> None:
    """Print the JSON Schema of the configuration or of the frame plan."""
    from controller.schema import schema_text

    sys.stdout.write(schema_text(kind.value))


@app.command()
def photo(
    config: Config,
    camera: Annotated[str, typer.Option(help="Which camera.")],
    out: Annotated[Path, typer.Option(help="Folder for the photo and its report; made if it is not there.")],
    scene: Annotated[str | None, typer.Option(help="Which scene; default: the first.")] = None,
    pan: Annotated[float | None, typer.Option(help="Degrees, + = left.")] = None,
    tilt: Annotated[float | None, typer.Option(help="Degrees, + = up.")] = None,
    roll: Annotated[float | None, typer.Option(help="Degrees, + = clockwise seen from behind.")] = None,
    x: Annotated[float | None, typer.Option(help="Metres, + = right.")] = None,
    y: Annotated[float | None, typer.Option(help="Metres, + = toward the wall.")] = None,
    z: Annotated[float | None, typer.Option(help="Metres, + = up.")] = None,
    scaled: Annotated[bool, typer.Option("--scaled", help="At render.scale, as the show runs.")] = False,
) -> None:
    """Photograph the simulated stage and measure the photo against the truth.

    Angles and places that are not given are the camera's configured ones.
    """
    from controller.photo import photo_command

    code = photo_command(
        config, camera=camera, scene=scene, pan_deg=pan, tilt_deg=tilt, roll_deg=roll, x_m=x, y_m=y, z_m=z,
        out=out, scaled=scaled,
    )  # fmt: skip
    raise typer.Exit(code or 0)


@app.command()
def run(
    config: Config,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="HTTP port; 0 takes a free one.")] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Send simulated tracking to every source.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="End after so many counted frames.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report here at the end.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore stored changes: begin with the file.")] = False,
    record: Annotated[Path | None, typer.Option(help="Record what tracking sends into this new .mcap file.")] = None,
    last_good: Annotated[
        bool, typer.Option("--last-good", help="Run the configuration that ran last from this file, which is broken.")
    ] = False,
) -> None:
    """Run the show: tracking in, walls out, the API and the page."""
    import controller.processes  # noqa: F401  # first: what it says of garbage is for all that is read now
    from controller.run import run_command

    code = run_command(
        config, port=port, simulate=simulate, frames=frames, report=report, fresh=fresh, record=record,
        last_good=last_good,
    )  # fmt: skip
    raise typer.Exit(code or 0)


@app.command()
def preflight(config: Config, json: Json = False) -> None:
    """Tell what this machine and stage lack for a show."""
    from controller.preflight import preflight_command

    raise typer.Exit(preflight_command(config, as_json=json) or 0)


@app.command()
def monitors(
    display: Annotated[str, typer.Option(help="X display; default: that of the environment.")] = "",
    json: Json = False,
) -> None:
    """Tell what hangs on this machine's outputs, as a configuration names it."""
    from controller.windows.look import monitors_command

    raise typer.Exit(monitors_command(display=display, as_json=json))


@app.command()
def processors(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG]", help="A stage; left out: the show that runs here.")
    ] = None,
    restore: Annotated[bool, typer.Option("--restore", help="Set what drifted, and check.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what --restore would set.")] = False,
    scene: Annotated[str | None, typer.Option(help="As this scene wants them; the first one if left out.")] = None,
    run: Show = None,
    json: Json = False,
) -> None:
    """Tell how a stage's LED processors are and what drifted from the show's wishes; --restore puts it right."""
    from controller.processors import command

    if config is None:
        raise typer.Exit(command.restore_in_run(run, dry_run=dry_run or not restore, as_json=json))
    code = command.processors_command(config, restore=restore, dry_run=dry_run, as_json=json, scene=scene)
    raise typer.Exit(code)


@app.command()
def emulate(
    what: Annotated[str, typer.Argument(help="processor")],
    model: Annotated[str, typer.Option(help="tessera, helios, coex, colorlight_v or colorlight_z.")] = "tessera",
    host: Annotated[str, typer.Option(help="Address to answer at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    fault: Annotated[
        list[str] | None, typer.Option(help="busy, locked, rebooting, lying, unplugged or no_signal.")
    ] = None,
) -> None:
    """Stand in for a piece of equipment, with its real protocol and quirks."""
    if what != "processor":
        raise typer.BadParameter("what can be emulated is: processor", param_hint="WHAT")
    from controller.processors.emulators.command import emulate_command

    raise typer.Exit(emulate_command(model, host=host, port=port, faults=tuple(fault or ())))


@app.command()
def simulate(
    move: Annotated[str, typer.Option(help="orbit, dolly, crane, handheld, tripod or whip.")] = "orbit",
    protocol: Annotated[
        str,
        typer.Option(
            help="opentrackio, opentrackio_cbor, freed, osc, osc_bundle, zmq, zmq_msgpack, mosys_f4, stype, stype_a5, "
            "psn, rttrpm, live_link, natnet, vmc, vmc_performer, or cooke (the lens alone, with --lens)."
        ),
    ] = "opentrackio",
    target: Annotated[
        str | None, typer.Option(help="HOST:PORT or a ZeroMQ endpoint; default: the protocol's port here.")
    ] = None,
    camera: Annotated[str, typer.Option(help="The camera's name (OSC, ZeroMQ).")] = "a",
    camera_id: Annotated[int, typer.Option(help="The camera's number (FreeD).")] = 1,
    source_number: Annotated[int, typer.Option(help="The source's number (OpenTrackIO).")] = 1,
    focal_length: Annotated[float | None, typer.Option(help="Millimetres, sent where it can be.")] = None,
    rate: Annotated[str, typer.Option(help="Samples a second.")] = "60",
    seconds: Annotated[float | None, typer.Option(help="How long; default: until stopped.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another variant of the move, its lens and its faults.")] = 0,
    lens: Annotated[str | None, typer.Option(help="prime (focus pulls), rack or zoom; default: none is sent.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="T1 to T10, jitter, loss, duplicate, reorder; figures after a colon: T1:at=5,for=0.5. Repeat."
        ),
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Write the true poses here, a line a sample.")] = None,
) -> None:
    """Send the tracking of a simulated camera move."""
    from tracking.simulate import simulate as send

    sent = send(
        move, protocol, target, rate=rate, seconds=seconds, camera=camera, seed=seed, camera_id=camera_id,
        source_number=source_number, focal_length_mm=focal_length, lens=lens, faults=tuple(fault or ()), truth=truth,
        told=lambda what: typer.echo(f"faults: {what}"),
        started=lambda where: typer.echo(f"{move} by {protocol} to {where}, {rate} samples a second"),
    )  # fmt: skip
    typer.echo(f"{sent} samples sent")


@app.command()
def timecode(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="ltc (raw audio), mtc or art_timecode.")],
    target: Annotated[
        str | None, typer.Option(help="HOST:PORT or a path (FIFO, raw MIDI device); default: the kind's port here.")
    ] = None,
    rate: Annotated[str, typer.Option(help="Labels a second: 23.976, 24, 25, 29.97 (drop frame) or 30.")] = "25",
    first: Annotated[str, typer.Option("--from", help="The label to begin with.")] = "10:00:00:00",
    seconds: Annotated[float | None, typer.Option(help="How long; default: until stopped.")] = None,
) -> None:
    """Send time code, for rehearsals without a tape."""
    from controller.timecode_command import timecode_command

    typer.echo(timecode_command(kind, target, rate=rate, first=first, seconds=seconds))


@app.command()
def play(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Recorded datagrams (JSON lines).")],
    target: Annotated[str, typer.Option(help="HOST:PORT.")],
    speed: Annotated[float, typer.Option(help="2 = twice as fast.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
) -> None:
    """Send recorded tracking datagrams at their own pace."""
    from tracking.play import play as send

    sent = send(
        file, target, speed=speed, loop=loop,
        started=lambda lines, length_s: typer.echo(f"{lines} lines, {length_s / speed:.2f} s, to {target}"),
    )  # fmt: skip
    typer.echo(f"{sent} datagrams sent")


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of tracking (.mcap).")],
    virtual: Annotated[
        str | None,
        typer.Option(
            metavar="CONFIG",
            help="Feed the show of a configuration under a virtual clock and send nothing; "
            "`recorded` takes the one it was recorded under.",
        ),
    ] = None,
    draw: Annotated[
        bool,
        typer.Option("--draw", help="Draw the plans as they were published, live edits and all; virtual: anew."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="draw, virtual: write every plan's and canvas' hash here.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="HOST:PORT; default: where it was received.")] = None,
    speed: Annotated[float, typer.Option(help="2 = twice as fast.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
) -> None:
    """Send a recording of tracking again, or see exactly what the show makes of it."""
    from controller.replay import replay_command

    code = replay_command(file, virtual=virtual, draw=draw, target=target, speed=speed, loop=loop, report=report)
    raise typer.Exit(code)


@app.command()
def recover(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A torn recording (.mcap).")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The whole one to be made of it.")],
) -> None:
    """Make a whole recording of one whose recorder was killed or whose disk was full."""
    from tracking.capture import recover as mend

    capture = mend(file, out)
    typer.echo(f"{len(capture.datagrams)} datagrams in {capture.seconds:.2f} s, {'torn' if capture.torn else 'whole'}")


@app.command()
def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help="wall, scene, predict, latency, tracking or output.")],
    json: Json = False,
    take: Annotated[list[Path] | None, typer.Option(help="predict: a recorded take (FreeD lines or .f4).")] = None,
    plot: Annotated[Path | None, typer.Option(help="predict: write a picture.")] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="scene: against three.js, pygfx, Panda3D + simplepbr.")
    ] = False,
    growth: Annotated[bool, typer.Option("--growth", help="scene: over triangles, views, pixels.")] = False,
    pictures: Annotated[Path | None, typer.Option(help="scene: a folder for the peers' pictures or the plots.")] = None,
) -> None:
    """Measure this machine."""
    from controller.bench import bench_command

    code = bench_command(name, json=json, takes=take or [], plot=plot, peers=peers, growth=growth, pictures=pictures)
    raise typer.Exit(code or 0)


@app.command()
def timing(
    config: Config,
    report: Annotated[Path, typer.Option(help="Folder for junit.xml, report.json, report.html.")],
    rate: Annotated[str | None, typer.Option(help="Frames a second; default: the configuration's.")] = None,
    move: Annotated[str, typer.Option(help="orbit, dolly, crane, handheld, tripod or whip.")] = "handheld",
    protocol: Annotated[str | None, typer.Option(help="The tracker's protocol; default: as configured.")] = None,
    samples: Annotated[str, typer.Option(help="The tracker's samples a second.")] = "120",
    faults: Annotated[
        list[str] | None, typer.Option(help="Rows of the fault matrix after the show: T1,T2,... or all.")
    ] = None,
    load: Annotated[
        list[str] | None,
        typer.Option(help="Beside the show: flood, slow_clients, config_storm, scene_reload, cpu_hog, or all."),
    ] = None,
    virtual: Annotated[bool, typer.Option("--virtual", help="Under a virtual clock: exact, seeded, fast.")] = False,
    limits: Annotated[Path | None, typer.Option(help="A YAML file with limits that differ.")] = None,
    seconds: Annotated[float, typer.Option(help="How long the show is measured.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Another seed, another variant of everything.")] = 0,
    draw_ms: Annotated[
        float | None, typer.Option(help="Virtual: what drawing a frame costs; default: 40 % of a frame.")
    ] = None,
    photos: Annotated[int, typer.Option(help="Rendered photos in the report.")] = 3,
) -> None:
    """Run a show under a simulated tracker, measure what is late, and write a report. 1: a limit is broken."""
    from controller.timing.command import timing_command
    from controller.timing.settings import settings_of

    settings = settings_of(
        config, rate=rate, move=move, protocol=protocol, samples=samples, faults=",".join(faults or ()),
        loads=",".join(load or ()), virtual=virtual, seconds_s=seconds, seed=seed, draw_ms=draw_ms,
        photos=photos,
    )  # fmt: skip
    raise typer.Exit(timing_command(settings, report=report, limits=limits))


@app.command()
def doctor(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="tracking.")],
    listen: Annotated[
        list[str] | None,
        typer.Option(help="HOST:PORT, GROUP:PORT@INTERFACE, tcp://... ; default: wherever trackers usually send."),
    ] = None,
    file: Annotated[list[Path] | None, typer.Option(help="A take (JSON lines) or a recording (.mcap).")] = None,
    seconds: Annotated[float, typer.Option(help="How long to listen.")] = 5.0,
    camera: Annotated[list[str] | None, typer.Option(help="Camera ids for the proposed configuration.")] = None,
    save: Annotated[Path | None, typer.Option(help="Keep what was heard as a take.")] = None,
    guided: Annotated[bool, typer.Option("--guided", help="Move the camera as told: finds axes and signs.")] = False,
    json: Json = False,
) -> None:
    """Say what is wrong with a tracker, and what to change. 1: something matters."""
    from controller.doctor import doctor_command

    code = doctor_command(
        what, listen=listen or [], files=file or [], seconds_s=seconds, cameras=camera or [], save=save, as_json=json,
        guide=guided,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command()
def lens(
    what: Annotated[str, typer.Argument(help="fit")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="OpenCV or Unreal (YAML, JSON), points (CSV).")
    ],
    sensor: Annotated[str, typer.Option(help="Active area the picture shows, millimetres: 36x20.25.")],
    squeeze: Annotated[float, typer.Option(min=0.5, max=3.0, help="Of an anamorphic lens.")] = 1.0,
    model: Annotated[str | None, typer.Option(help="du or ud: which way it shall run; default: the nearer.")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Of the picture, pixels, where the file is silent.")] = None,
    height: Annotated[int | None, typer.Option(min=1, help="The same.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write a lens table (YAML) of all files.")] = None,
    json: Json = False,
) -> None:
    """Turn lenses of other programs, or measured points, into OpenLensIO coefficients; tell what is left over."""
    if what != "fit":
        raise typer.BadParameter("what can be done with a lens is: fit", param_hint="WHAT")
    from controller.lens_command import lens_fit_command

    code = lens_fit_command(
        files, sensor_mm=sensor, squeeze=squeeze, model=model, width_px=width, height_px=height, out=out, as_json=json
    )
    raise typer.Exit(code)


@app.command()
def ledger(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .ledger file, a folder of them, or a show's name.")],
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (.png, .svg, .pdf).")] = None,
    frame: Annotated[int | None, typer.Option(min=0, help="Tell one frame: why it was late, in words.")] = None,
    run: Annotated[str | None, typer.Option(help="Which run of the show; default: the newest.")] = None,
    json: Json = False,
) -> None:
    """Tell where the time of every frame went: percentiles, what was missed and why."""
    from controller.ledger_tell import ledger_command

    raise typer.Exit(ledger_command(file, plot=plot, frame=frame, run=run, as_json=json) or 0)


@app.command()
def action(
    what: Annotated[Action, typer.Argument(help="none gives the walls back to the show.")],
    run: Run = None,
) -> None:
    """BLACK, HOLD, SAFE PICTURE or WORK LIGHT on every wall, even when the service is dead."""
    from controller.action import action_command

    raise typer.Exit(action_command(what.value, run=run) or 0)


@app.command()
def capture(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="canvas:left, inner:a, photo:a; list; or end:NUMBER.")
    ] = "list",
    out: Annotated[Path | None, typer.Option(help="The video, or what names of stills begin with.")] = None,
    form: Annotated[str, typer.Option("--format", help="png, exr, prores, prores_hq or ffv1.")] = "png",
    bits: Annotated[int, typer.Option(help="png: 8 or 16.")] = 16,
    light: Annotated[str, typer.Option(help="exr: acescg or signal.")] = "acescg",
    first: Annotated[int, typer.Option(help="First frame; default: the next one shown.")] = 0,
    last: Annotated[int | None, typer.Option(help="Last frame; default: until it is ended.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="How many frames from the first on.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Each k-th frame only.")] = 1,
    width: Annotated[int, typer.Option(min=16, max=8192, help="Of a photo, pixels.")] = 1920,
    run: Run = None,
) -> None:
    """Write frames of a running show to disk: canvases, inner pictures, photos. What is missing is listed beside."""
    from controller.capture.command import Asked, capture_command

    asked = Asked(
        form=form, bits=bits, light=light, first_frame=first, last_frame=last, frames=frames, every=every,
        width_px=width,
    )  # fmt: skip
    raise typer.Exit(capture_command(what, out, asked, run=run) or 0)


@app.command()
def scene(
    name: Annotated[str, typer.Argument(metavar="SCENE", help="A scene of the running show.")],
    dissolve: Annotated[int | None, typer.Option(metavar="FRAMES", help="Dissolve to it over so many frames.")] = None,
    wipe: Annotated[int | None, typer.Option(metavar="FRAMES", help="Wipe to it over so many frames.")] = None,
    angle: Annotated[float | None, typer.Option(help="Of a wipe: 0 from left to right, 90 from the floor up.")] = None,
    at: Annotated[int | None, typer.Option(metavar="FRAME", help="The first frame that shows it.")] = None,
    run: Show = None,
) -> None:
    """Put a scene on the walls of a running show: at once, or by dissolve or wipe, from a frame on."""
    from controller.scene_command import scene_command

    kind, frames = ("wipe", wipe) if wipe is not None else ("dissolve", dissolve)
    given = {"kind": kind if frames is not None else None, "frames": frames, "angle_deg": angle, "at_frame": at}
    typer.echo(scene_command(name, {key: value for key, value in given.items() if value is not None}, run=run))


@app.command()
def library(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="list, show, versions, restore, tag or thumbnail.")
    ] = "list",
    entry: Annotated[str | None, typer.Argument(metavar="ENTRY", help="Path, end of a path, or id.")] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="MORE", help="restore: the content; tag: +hero -old; thumbnail: FILE.")
    ] = None,
    search: Annotated[str, typer.Option(help="list: words in path, label or tags.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="list: only with this tag. Repeat.")] = None,
    kind: Annotated[str, typer.Option(help="list: asset, dome, picture or scene.")] = "",
    broken: Annotated[bool, typer.Option("--broken", help="list: only what cannot be shown.")] = False,
    gone: Annotated[bool, typer.Option("--gone", help="list: only what is not there any more.")] = False,
    label: Annotated[str | None, typer.Option(help="tag: what it is called.")] = None,
    json: Json = False,
    run: Show = None,
) -> None:
    """The library of a running show: what is in it, what it was before, and back to that."""
    from controller.library.command import Asked, library_command

    asked = Asked(search=search, tags=tuple(tag or ()), kind=kind, broken=broken, gone=gone, label=label, as_json=json)
    typer.echo(library_command(what, entry, tuple(more or ()), asked, run=run))


@app.command()
def show(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="list, export, import, backup, backups or restore.")
    ] = "list",
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Of the export; restore: of the backup.")] = None,
    name: Annotated[str | None, typer.Option("--show", help="Which show; default: the only one.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="import: not into a running show, but into this new configuration.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="import: only tell what would change.")] = False,
    run: Show = None,
) -> None:
    """Whole shows as files, backups of what is stored of them, and back to one."""
    from controller.show_command import Asked, show_command

    typer.echo(show_command(what, file, Asked(show=name, config=config, dry_run=dry_run, run=run)))


@app.command()
def access(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="list, user, key, drop-user, drop-key or ca.")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of the user or key; ca: a file for it.")] = None,
    role: Annotated[str | None, typer.Option(help="viewer, director, operator or admin.")] = None,
    days: Annotated[float | None, typer.Option(help="key: how long it holds; default: for ever.")] = None,
) -> None:
    """Users of this machine's shows, keys for programs, and the authority behind its https.

    A password is asked for, or read from standard input.
    """
    from controller.access.command import Asked, access_command

    typer.echo(access_command(what, name, Asked(role=role, days=days)))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with 0 good, 1 failed, 2 bad input, 3 the machine lacks a part, 130 stopped."""
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(args=arguments, prog_name="openvolume", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except OpenVolumeError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return error.exit_code
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except _USAGE_ERROR as error:
        error.show()  # type: ignore[attr-defined]
        return EXIT_BAD_INPUT
    except BrokenPipeError:
        # The reader of a pipe left. Nothing more can be told, and closing stdout must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
