"""`openvolume doctor tracking`: exit codes, live listening on loopback, files, the guided check at a terminal."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from controller import cli
from controller.doctor import DoctorError, address_parts, doctor_command, usual_addresses
from runtime.clock import SystemClock
from stage.frames import Array, pose_from_pan_tilt_roll
from tracking.doctor.guided import STEPS
from tracking.encoders import encoder
from tracking.moment import Moment
from tracking.moves import move
from tracking.play import read_take


def ends(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(caught.value.code or 0), out, err


def take(path: Path, *, wrong_checksum: bool = False) -> Path:
    encode, pose_at = encoder("freed"), move("handheld").pose
    lines = []
    for n in range(300):
        (data,) = encode(Moment(pose_at(n / 60), n, 0))
        data = data[:-1] + b"\0" if wrong_checksum else data
        lines.append(json.dumps({"t": n / 60, "hex": data.hex()}) + "\n")
    path.write_text("".join(lines))
    return path


def test_a_healthy_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ends(capsys, "doctor", "tracking", "--file", str(take(tmp_path / "a.jsonl")), "--camera", "main")
    assert code == 0
    assert "FreeD D1" in out
    assert "60.000 a second" in out
    assert "camera: main" in out
    assert out.endswith("Nothing is wrong with what was heard.\n")


def test_a_fault_gives_1_and_the_line_that_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = take(tmp_path / "a.jsonl", wrong_checksum=True)
    code, out, _ = ends(capsys, "doctor", "tracking", "--file", str(file))
    assert code == 1
    assert "its checksum is 0, never filled in" in out
    assert "checksum: zero" in out
    code, out, _ = ends(capsys, "doctor", "tracking", "--file", str(file), "--json")
    assert code == 1
    report = json.loads(out)
    assert report["senders"][0]["protocol"] == "freed"
    assert report["senders"][0]["findings"][0]["code"] == "doctor.checksum"


@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor", "walls"),
        ("doctor", "tracking", "--file", "/nowhere/take.jsonl"),
        ("doctor", "tracking", "--file", "/nowhere/take.mcap"),
        ("doctor", "tracking", "--listen", "nonsense"),
        ("doctor", "tracking", "--listen", "127.0.0.1:4000@eth0"),
        ("doctor", "tracking", "--listen", "127.0.0.1:4000", "--seconds", "0"),
        ("doctor", "tracking", "--listen", "127.0.0.1:4000", "--file", "a.jsonl"),
        ("doctor", "tracking", "--guided"),
        ("doctor", "tracking", "--guided", "--file", "/nowhere/steps.jsonl"),
    ],
)
def test_bad_input_is_2(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    code, _, err = ends(capsys, *arguments)
    assert code == 2
    assert err


def test_addresses() -> None:
    assert address_parts("udp://236.10.10.10:56565@10.0.0.7") == ("236.10.10.10:56565", "10.0.0.7")
    assert address_parts("0.0.0.0:40000") == ("0.0.0.0:40000", "")
    assert address_parts("tcp://127.0.0.1:5556") == ("tcp://127.0.0.1:5556", "")
    with pytest.raises(DoctorError):
        address_parts("tracker")
    usual = usual_addresses()
    assert {"236.10.10.10:56565", "0.0.0.0:40000", "0.0.0.0:6301"} <= set(usual)
    assert len(usual) == len(set(usual))


def test_a_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tracking.capture import CaptureInfo, CaptureWriter
    from tracking.tap import Batch, Datagram, LinkInfo

    encode, pose_at = encoder("opentrackio"), move("handheld").pose
    link = LinkInfo("0.0.0.0:55555", "opentrackio", ("tracker",))
    t0_ns = 7_000_000_000
    datagrams = tuple(
        Datagram(0, t0_ns + n * 20_000_000, "10.0.0.5", 5000, data)
        for n in range(150)
        for data in encode(Moment(pose_at(n / 50), n, 1_790_000_000_000_000_000 + n * 20_000_000))
    )
    writer = CaptureWriter(tmp_path / "a.mcap", CaptureInfo(1_790_000_000_000_000_000 - t0_ns, 0))
    writer.add(Batch((link,), datagrams))
    writer.close()
    code, out, _ = ends(capsys, "doctor", "tracking", "--file", str(tmp_path / "a.mcap"))
    assert code == 0
    assert "10.0.0.5:5000 to 0.0.0.0:55555: OpenTrackIO" in out
    assert "50.000 a second" in out


class Stage(io.StringIO):
    """What is printed, and an operator and a tracker that react to it: `on` is called with each text."""

    def __init__(self, on: Callable[[str], None]) -> None:
        super().__init__()
        self._on = on

    def write(self, text: str) -> int:
        written = super().write(text)
        self._on(text)
        return written


class Tracker:
    """Sends FreeD over loopback when told to."""

    def __init__(self, port: int) -> None:
        self._port, self._n = port, 0
        self._encode = encoder("freed")

    def say(self, *poses: Array) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.bind(("127.0.0.1", 0))
            for pose in poses:
                for data in self._encode(Moment(pose, self._n, 0)):
                    out.sendto(data, ("127.0.0.1", self._port))
                self._n += 1


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_live_on_loopback(tmp_path: Path) -> None:
    port, saved = free_port(), tmp_path / "heard.jsonl"
    tracker = Tracker(port)

    def on(text: str) -> None:
        if text.startswith("Listening on"):
            tracker.say(*(move("handheld").pose(n / 60) for n in range(60)))

    out = Stage(on)
    doctor_command("tracking", listen=[f"127.0.0.1:{port}"], seconds_s=0.1, save=saved, out=out)
    assert f"to 127.0.0.1:{port}: FreeD D1" in out.getvalue()
    assert "datagrams  60," in out.getvalue()
    assert f"listen: 127.0.0.1:{port}" in out.getvalue()
    assert len(read_take(saved)) == 60
    with pytest.raises(DoctorError, match="cannot be written"):
        doctor_command("tracking", listen=["127.0.0.1:0"], seconds_s=0.1, save=saved, out=io.StringIO())


def test_nothing_arrives() -> None:
    out = io.StringIO()
    assert doctor_command("tracking", listen=["127.0.0.1:0"], seconds_s=0.1, out=out) == 1
    assert "nothing arrives at 127.0.0.1:" in out.getvalue()


ENDS = {
    "pan_right": {"pan_deg": -40.0},
    "tilt_up": {"tilt_deg": 25.0},
    "roll_clockwise": {"roll_deg": 20.0},
    "walk_forward": {"y": 1.0},
    "walk_right": {"x": 1.0},
    "raise": {"z": 0.5},
}


def step_pose(step: str, s: float) -> Array:
    """So far into a step, as a tracker says it whose pan is turned."""
    end = {name: s * value for name, value in ENDS.get(step, {}).items()}
    place = (end.get("x", 0.0), end.get("y", 0.0), 1.5 + end.get("z", 0.0))
    pan, tilt, roll = (end.get(name, 0.0) for name in ("pan_deg", "tilt_deg", "roll_deg"))
    return pose_from_pan_tilt_roll(place, pan_deg=-pan, tilt_deg=tilt, roll_deg=roll)


def test_the_guided_check_at_a_terminal(tmp_path: Path) -> None:
    """Enter by Enter, with a tracker whose pan is turned; what was saved gives the same again."""
    port, saved = free_port(), tmp_path / "steps.jsonl"
    tracker, steps = Tracker(port), iter(STEPS)
    reading, pressing = os.pipe()

    def on(text: str) -> None:
        if "Back to straight ahead" in text:
            tracker.say(step_pose("still", 0.0))
            os.write(pressing, b"\n")
        elif "Now; Enter" in text:
            step = next(steps)
            tracker.say(*(step_pose(step, min(1.0, i / 10)) for i in range(20)))
            os.write(pressing, b"\n")

    out = Stage(on)
    with os.fdopen(reading) as keys:
        code = doctor_command(
            "tracking", listen=[f"127.0.0.1:{port}"], guide=True, save=saved, out=out, keys=keys, clock=SystemClock()
        )
    os.close(pressing)
    told = out.getvalue()
    assert code == 1
    assert "1 of 7" in told
    assert "7 of 7" in told
    assert "pan turns the other way" in told
    assert "signs: {pan: -1}" in told
    assert "Every move was understood." in told
    again = io.StringIO()
    assert doctor_command("tracking", files=[saved], guide=True, as_json=True, out=again) == 1
    assert json.loads(again.getvalue())["source"]["signs"] == {"pan": -1}


def test_nobody_presses_enter() -> None:
    reading, pressing = os.pipe()
    os.close(pressing)
    with os.fdopen(reading) as keys, pytest.raises(DoctorError, match="presses Enter"):
        doctor_command("tracking", listen=["127.0.0.1:0"], guide=True, keys=keys, out=io.StringIO())
