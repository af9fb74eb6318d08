"""Every alarm there can be: its code, how bad it is, what causes it, what to do, and the values it carries.

For programs and translations, so that nobody reads figures out of sentences (`GET /api/v1/alarms/codes`). The page
docs/alarms.md is made from it: `python -m controller.alarm_codes > docs/alarms.md`. Tests hold it to what is raised.
"""

from __future__ import annotations

import sys
from typing import Final, get_args

from msgspec import Struct

from controller.status import Severity


class AlarmCode(Struct, frozen=True):
    """One code."""

    severities: list[Severity]
    """How bad it can be, the worst first."""
    cause: str
    mend: str
    """What to do as a rule; an alarm's own `mend` may know more."""
    values: dict[str, str]
    """What its alarms carry, by name, the unit in it: what it is."""


def _code(severities: str, cause: str, mend: str, **values: str) -> AlarmCode:
    order = get_args(Severity)
    told = sorted((s for s in order if s in severities.split()), key=("critical", "warning", "info").index)
    return AlarmCode(told, cause, mend, values)


_ERROR: Final = "what the system or the program below said"
_CONNECTOR: Final = "the output's connector"
_NODE_MEND: Final = "see the node's log; a change back mends it"
_RIGHTS: Final = "grant what `mend` names; the show runs without, and may be late on a busy machine"
_TROUBLES: Final = "what the processor, or the way to it, says, in words"

CODES: Final[dict[str, AlarmCode]] = {
    "capture.trouble": _code(
        "warning", "a capture cannot write, or leaves frames out", "free that disk", error=_ERROR),
    "clock.grandmaster_lost": _code(
        "warning", "ptp4l hears no grandmaster", "look at ptp4l, the grandmaster, the switch and the PTP domain",
        port_state="of ptp4l's port"),
    "clock.holdover": _code(
        "warning", "the time reference is gone; frames go on at the last known speed", "bring it back",
        reference="what is missing"),
    "clock.no_blank": _code(
        "warning", "no vertical blank of the monitors is heard", "see to `windows` and their monitors"),
    "clock.numbers_ahead": _code(
        "warning", "frame numbers are ahead of TAI's: other hosts count differently",
        "start the show again when no take rolls", off_frames="by how many"),
    "clock.numbers_behind": _code(
        "warning", "frame numbers are behind TAI's: other hosts count differently",
        "let time jump when no take rolls (POST /api/v1/frames/jam)", off_frames="by how many"),
    "clock.ptp_settling": _code(
        "info", "ptp4l hears a grandmaster and is not locked to it yet", "wait; then look at the network's jitter",
        port_state="of ptp4l's port", off_ns="from the grandmaster"),
    "clock.step_refused": _code(
        "critical", "the reference is too far away to slew to", "let time jump when no take rolls (frames/jam)",
        off_ms="reference less frames", rolling="whether a take rolls"),
    "clock.tai_slip": _code(
        "critical", "the clock jumped by the leap seconds: TAI was taken for UTC", "mend phc2sys",
        slip_s="by how much"),
    "clock.tai_unset": _code(
        "warning", "the kernel was not told how far TAI is from UTC", "phc2sys, chrony's leapsectz, or adjtimex --tai",
        kernel_s="what it has", assumed_s="what is assumed"),
    "clock.timecode_drop_frame": _code(
        "warning", "the time code's drop-frame flag is not the show's", "set time/drop_frame, or the sender",
        source="kind and address"),
    "clock.timecode_jumped": _code(
        "warning", "time code jumped while a take rolls; labels go on", "nothing: it is taken over after the take",
        source="kind and address"),
    "clock.timecode_rate": _code(
        "warning", "the time code's rate is not the show's", "set both alike, or time/timecode/labels_per_s",
        source="kind and address"),
    "clock.timecode_reverse": _code(
        "warning", "time code runs backwards", "play it forwards", source="kind and address"),
    "clock.timecode_silent": _code(
        "warning", "no time code comes in", "look at cable, level and sender", source="kind and address"),
    "clock.timecode_stopped": _code("warning", "time code stands still", "start it", source="kind and address"),
    "clock.unsynchronised": _code(
        "warning", "nobody keeps the system clock", "start ptp4l and phc2sys, or chronyd"),
    "clock.utc_offset": _code(
        "warning", "grandmaster and kernel differ about TAI and UTC", "correct phc2sys, leapsectz or adjtimex --tai",
        kernel_s="TAI less UTC, the kernel's", grandmaster_s="the grandmaster's"),
    "conductor.no_realtime": _code(
        "info", "the conductor has no real-time rights", _RIGHTS, reason="why they were withheld"),
    "conductor.plan_failed": _code(
        "critical", "no frame plan can be made; the last one is repeated", "take back the newest change",
        error=_ERROR),
    "controller.midi": _code(
        "warning", "a MIDI device is not heard", "plug it in; cat /proc/asound/cards lists what is there",
        device="its name in the configuration", error=_ERROR),
    "controller.osc_port": _code(
        "warning", "OSC control does not listen", "end the program that holds the port, or give another one",
        address="host and port", error=_ERROR),
    "controller.replaying": _code(
        "info", "a take plays on the walls: live tracking is not heard", "stop it (takes), or wait",
        take="its number"),
    "controller.store": _code(
        "critical", "the show's database takes nothing: changes are refused", "free space on its disk", error=_ERROR),
    "controller.takes": _code(
        "warning", "a take is not kept", "free space on the disk of the show's state, then arm and roll again",
        error=_ERROR),
    "frames.repeated": _code(
        "warning", "many slots repeat an older picture", "`reason` says what is late; GET frames/<n> tells each",
        repeated_percent="of the slots of the last seconds, to five", reason="the commonest"),
    "nmos.port": _code(
        "warning", "NMOS does not listen", "end the program that holds the port, or give another one",
        address="host and port", error=_ERROR),
    "nmos.registry": _code(
        "warning", "this node is not in the NMOS registry, or not all of it", "check control.nmos.registries",
        state="of the registration", refused="resources that the registry refuses"),
    "node.ahead_failed": _code("critical", "a node cannot draw ahead; pictures go on", _NODE_MEND, error=_ERROR),
    "node.draw_failed": _code("critical", "a node cannot draw; the last picture stays", _NODE_MEND, error=_ERROR),
    "node.engine_late": _code(
        "critical warning", "an engine gives no picture in time", "start it again, or switch it off",
        reason="in words", missed_frames="in a row", held="whether its last picture stays up; else ours is shown"),
    "node.no_realtime": _code("info", "a node has no real-time rights", _RIGHTS, reason="why they were withheld"),
    "node.plan_unreadable": _code("critical", "a node cannot read the plan; the last picture stays", _NODE_MEND,
        error=_ERROR),
    "node.present_failed": _code("critical", "a node cannot hand its picture over; the last one stays", _NODE_MEND,
        error=_ERROR),
    "process.gone": _code(
        "critical warning", "a process is not there", "it is started again within a second; else read its log",
        effect="what that means for the walls"),
    "process.stale": _code(
        "critical warning", "a process hangs", "it is started again within a second; else read its log",
        effect="what that means for the walls"),
    "processor.away": _code(
        "warning", "an LED processor does not answer", "check its power, cable and address", troubles=_TROUBLES),
    "processor.busy": _code(
        "warning", "an LED processor is busy for long", "wait until it has started, or load a project on it",
        troubles=_TROUBLES),
    "processor.capacity": _code(
        "warning", "more is asked of an LED processor than it carries", "lower its rate, multiplier or bits",
        why="in words with figures"),
    "processor.drift": _code(
        "warning", "an LED processor's setting is not as the show wants it", "POST processors/<id>/restore, or keep",
        setting="its name", wanted="as the show wants it", found="as it is"),
    "processor.latency": _code(
        "warning", "an LED processor's delay is not the configured one", "correct latency_frames, or its mode",
        real_frames="as it is", configured_frames="as the show reckons"),
    "processor.locked": _code(
        "warning", "another host holds an LED processor", "let it go on the other host", troubles=_TROUBLES),
    "processor.no_signal": _code(
        "critical", "nothing arrives at an LED processor", "check cable and output", input="which input"),
    "processor.rate": _code(
        "warning", "an LED processor's input runs at another rate", "set the output to the show's rate or a multiple",
        found_hz="what arrives", wanted_hz="the show's"),
    "processor.size": _code(
        "warning", "what arrives at an LED processor is not as large as its canvas: it is scaled",
        "set output and processor to the size of the canvas"),
    "processor.trouble": _code(
        "warning", "an LED processor reports trouble, or answers strangely", "see to it at the processor",
        troubles=_TROUBLES),
    "recorder.not_written": _code(
        "warning", "the ledger is not written; the show goes on", "free that disk, or lower control.ledger.keep_mb",
        error=_ERROR, folder="where it lies"),
    "recorder.recording_ended": _code(
        "warning", "tracking is no longer recorded; the show goes on", "free that disk, and begin a new recording",
        error=_ERROR, file="which it was"),
    "relay.not_open": _code(
        "warning", "a relay cannot send at all", "give targets and an interface of this machine's networks",
        error=_ERROR),
    "relay.unsendable": _code(
        "warning", "a relay lost poses", "look at the network to its targets, and what its protocol can say",
        lost="in the last second"),
    "relay.version": _code("warning", "the relay cannot read the show", "restart the show", error=_ERROR),
    "runtime.timecode_source": _code(
        "critical", "the time code's input cannot be opened", "see `mend`", source="which", error=_ERROR),
    "scenes.broken": _code(
        "warning", "a scene's changed files are not shown; the old ones are", "mend the file: it is tried again",
        error="what is wrong with it", place="where"),
    "sender.cannot_send": _code(
        "critical", "a stream cannot be sent", "give the address or name of one of this machine's interfaces",
        error=_ERROR),
    "sender.late": _code(
        "warning", "frames of a stream leave late", "free the machine, or send fewer pixels",
        late_frames="in that time", window_s="how long was counted"),
    "sender.no_device": _code(
        "warning", "a video device is not to be had", "plug it in, or correct its path", error=_ERROR),
    "sender.no_ndi": _code("warning", "NDI is not to be had", "install its maker's library", error=_ERROR),
    "sender.refused": _code(
        "warning", "this machine's network refuses a stream's packets", "check interface, cable and route",
        paths="addresses and ports they go to"),
    "sender.stalled": _code(
        "warning", "no new picture comes for a stream; the last one is sent again", "see the node that draws it"),
    "store.backup": _code(
        "warning", "the show's database cannot be copied", "free space; or start again where it is damaged",
        error=_ERROR),
    "store.damaged": _code(
        "warning", "the show's database was damaged, and was moved aside", "look whether changes are missing",
        moved_to="where it lies", backup="what took its place; empty: it was begun anew"),
    "store.room": _code(
        "warning", "little space is left where shows are kept", "free space: a full disk refuses changes and takes",
        free_mb="what is free", folder="where"),
    "supervisor.given_up": _code(
        "critical", "a process ended too often to be started again at once", "read its log; it is tried now and then",
        ends="how often", last_exit="how it ended last"),
    "tracking.clock_set": _code(
        "warning", "a sender's clock was set; its poses were matched anew",
        "nothing, unless it goes on: lock that clock, or set `match: arrival`", times="so far"),
    "tracking.clock_stalled": _code(
        "warning", "a sender's time stamps stand still; arrivals are used",
        "start its clock, or set `match: arrival`"),
    "tracking.device": _code(
        "warning", "a serial line or device cannot be read", "plug it in, correct `listen`, or grant it (dialout)",
        device="which", error=_ERROR),
    "tracking.failed_over": _code(
        "warning", "a camera's source was lost; another one moves it", "set the camera's preferred_source again",
        lost="the source that was lost", state="how that one is", moves="the one that moves the camera"),
    "tracking.flood": _code(
        "warning", "an address is flooded; only who moves something already is heard",
        "stop what sends there, or name the tracker in `allow`", address="which",
        heard_one_in="of so many others one is heard"),
    "tracking.lens": _code(
        "warning", "a lens's figures cannot be; the last that can hold", "home the encoders, or correct the lens table",
        fault="what is wrong"),
    "tracking.listen": _code(
        "critical", "a tracking address cannot be listened on", "check it, or stop the program that has it",
        address="which", error=_ERROR),
    "tracking.second_sender": _code(
        "warning", "two senders speak for one source; the first counts", "stop one of them",
        rival="the one that is not heard", holder="the one that counts"),
    "tracking.second_source": _code(
        "warning", "several sources move one camera", "remove one, or tell them apart by priority",
        sources="which", moves="the one that counts"),
    "tracking.source_bad": _code(
        "critical warning", "what a tracker sends cannot be used; the last good pose holds",
        "check protocol, unit and gates of the source", reason="why, in words"),
    "tracking.source_lost": _code(
        "critical warning", "nothing comes from a tracker; its last pose holds",
        "check that it runs and sends to this address", reason="why, in words"),
    "tracking.timecode_apart": _code(
        "warning", "a sender's time code is not the show's; it is matched as a clock of its own",
        "jam both from one source, or set `match`", behind_ms="behind the show's"),
    "windows.bits": _code(
        "warning", "a window has fewer bits than its canvases", "DefaultDepth 30 in xorg.conf",
        found_bits="of a colour", wanted_bits="of the canvases"),
    "windows.monitor_ambiguous": _code(
        "critical", "several monitors fit one name", "add its serial number, or its connector",
        connectors="of those that fit", connector="of the one taken"),
    "windows.monitor_covered": _code(
        "warning", "a stranger's monitor lies under a window", "move it aside: xrandr --pos", connector=_CONNECTOR),
    "windows.monitor_lost": _code(
        "critical", "a monitor is not there", "look at its power and cable", monitor="maker, model, serial number",
        connector="where it should be"),
    "windows.monitor_mode": _code(
        "critical", "a monitor's mode does not fit its picture", "set it: xrandr --mode", connector=_CONNECTOR,
        found_px="width x height", wanted_px="width x height"),
    "windows.monitor_moved": _code(
        "warning", "a monitor hangs on another connector; its picture follows it", "plug it back, or configure it",
        connector="where it is", configured="where it should be"),
    "windows.monitor_off": _code("critical", "a monitor is switched off", "switch it on: xrandr", connector=_CONNECTOR),
    "windows.monitor_position": _code(
        "warning", "a monitor lies elsewhere on its display; its picture follows it", "xrandr --pos",
        connector=_CONNECTOR, found_px="left x top", wanted_px="left x top"),
    "windows.monitor_rate": _code(
        "critical warning", "a monitor's rate is not the show's, nor a whole multiple", "set it: xrandr --rate",
        connector=_CONNECTOR, found_hz="what it runs at", off_ppm="from the next multiple, where that is near"),
    "windows.monitor_scale": _code(
        "critical", "a monitor scales its picture", "xrandr --scale 1x1 --panning 0x0", connector=_CONNECTOR,
        found_px="width x height drawn", wanted_px="width x height of its mode"),
    "windows.monitor_twice": _code(
        "critical", "two names mean one monitor", "name each by its own connector or serial number",
        connector=_CONNECTOR, monitor="the other name"),
    "windows.monitors_overlap": _code(
        "critical", "two monitors show the same part of the display", "xrandr --right-of", monitor="the other one"),
    "windows.no_blank": _code("info", "swaps wait for no vertical blank: pictures may tear", "use vertical sync"),
    "windows.no_display": _code("critical", "the X display cannot be opened", "see to the X server", error=_ERROR),
    "windows.swap_group": _code("warning", "the driver refuses the swap group", "see to sync board and driver",
        error=_ERROR),
}  # fmt: skip
"""By code."""


def page() -> str:
    """The page of the documentation, in Markdown."""
    about = (
        "What a running show may tell people, by code: `GET /api/v1/alarms` has those that stand, "
        "`GET /api/v1/alarms/codes` this list. An alarm has `code`, `path` (what it is about), `severity`, `detail` "
        "and `mend` in English, and its figures and names in `values`, with the unit in each name: programs and "
        "translations take those, never the sentence. A value may be missing where nobody knows it."
    )
    lines = [
        "# Alarms",
        "",
        about,
        "",
        "Made from `controller/alarm_codes.py`: `python -m controller.alarm_codes > docs/alarms.md`.",
        "",
        "| code | | cause | what to do | values |",
        "|---|---|---|---|---|",
    ]
    for code, one in CODES.items():
        values = "; ".join(f"`{name}` {what}" for name, what in one.values.items())
        lines.append(f"| `{code}` | {', '.join(one.severities)} | {one.cause} | {one.mend} | {values} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
