"""What ptp4l says: answers taken down from a real one, broken twins, one of our own making, and two real ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import NS_PER_S
from runtime.references import ptp
from runtime.references.ptp import PtpMonitor, PtpState, request, response

# Taken down from linuxptp 3.1.1: software stamps, domain 127, free running, one grandmaster heard.
TIME_STATUS = bytes.fromhex(
    "0d0200687f0000000000000000000000000000007e1e65fffe16cbd000000001047f000000000000000021410000020000010034c0000000"
    "00000000000018ea163153b7943100000000000000000000000000000000000000000000000000016e078bfffef1bde2"
)
PORT_DATA = bytes.fromhex(
    "0d0200507f0000000000000000000000000000007e1e65fffe16cbd000010002047f00000000000000002141000002000001001c20047e1e"
    "65fffe16cbd0000108000000000000000000010300010002"
)
TIME_PROPERTIES = bytes.fromhex(
    "0d02003a7f0000000000000000000000000000007e1e65fffe16cbd000000003047f0000000000000000214100000200000100062003002500a0"
)
PORT_PROPERTIES = bytes.fromhex(
    "0d0200467f0000000000000000000000000000007e1e65fffe16cbd000010004047f000000000000000021410000020000010012c0047e1e"
    "65fffe16cbd00001080002766200"
)
ANSWERS = (TIME_STATUS, PORT_DATA, TIME_PROPERTIES, PORT_PROPERTIES)


class Ptp4l:
    """A management socket that answers as told."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))
        self.asked: list[bytes] = []

    def answer(self, *answers: bytes) -> None:
        """Take every request; send these."""
        sender = None
        while True:
            try:
                data, sender = self.socket.recvfrom(2048)
            except BlockingIOError:
                break
            self.asked.append(data)
        assert sender is not None
        for answer in answers:
            self.socket.sendto(answer, sender)


@pytest.fixture
def ptp4l(tmp_path: Path) -> Iterator[tuple[Ptp4l, PtpMonitor]]:
    other = Ptp4l(tmp_path / "ptp4l")
    monitor = PtpMonitor(tmp_path / "ptp4l")
    yield other, monitor
    monitor.close()
    other.socket.close()


def test_what_a_real_one_said(ptp4l: tuple[Ptp4l, PtpMonitor]) -> None:
    other, monitor = ptp4l
    assert monitor.hear(0) is None
    assert monitor.ask()
    other.answer(*ANSWERS)
    state = monitor.hear(7)
    assert state == PtpState(
        heard_ns=7, elsewhere=True, identity="6e078b.fffe.f1bde2", offset_ns=0, ingress_ns=1795271802574312497,
        port_state="UNCALIBRATED", interface="vb", timestamping="SOFTWARE", utc_offset_s=37,
    )  # fmt: skip
    assert (state.follows, state.locked, state.leads) == (True, False, False)
    assert monitor.refused == {}
    # Only GETs were sent, in the domain of ST 2059-2.
    assert len(other.asked) == 4
    for data in other.asked:
        assert (data[0], data[1], data[4], data[46] & 15) == (0x0D, 2, 127, 0)
        assert len(data) == int.from_bytes(data[2:4], "big")
    assert [int.from_bytes(data[52:54], "big") for data in other.asked] == list(ptp.ASKED)


def test_broken_twins_are_counted(ptp4l: tuple[Ptp4l, PtpMonitor]) -> None:
    other, monitor = ptp4l
    monitor.ask()
    twins: dict[str, bytes] = {
        "short": TIME_STATUS[:40],
        "header": b"\x0b" + TIME_STATUS[1:],
        "action": TIME_STATUS[:46] + b"\x00" + TIME_STATUS[47:],
        "error": TIME_STATUS[:48] + b"\x00\x02" + TIME_STATUS[50:],
        "value": TIME_STATUS[:2] + b"\x00\x3a" + TIME_STATUS[4:50] + b"\x00\x06" + TIME_STATUS[52:58],
    }
    other.answer(*twins.values())
    assert monitor.hear(1) is None
    assert monitor.refused == dict.fromkeys(twins, 1)
    assert response(TIME_STATUS[:-1]) == "short"


@given(st.binary(max_size=120))
def test_any_bytes_at_all(data: bytes) -> None:
    response(data)
    answer = response(TIME_STATUS[:34] + data)
    assert isinstance(answer, (str, tuple))


def test_the_best_port_counts_and_a_silent_one_is_gone(ptp4l: tuple[Ptp4l, PtpMonitor]) -> None:
    other, monitor = ptp4l
    monitor.ask()
    second = PORT_DATA[:62] + b"\x00\x02" + b"\x09" + PORT_DATA[65:]
    other.answer(TIME_STATUS, second, PORT_DATA)
    state = monitor.hear(0)
    assert state is not None
    assert (state.port_state, state.locked) == ("SLAVE", True)
    # Now both listen: the grandmaster is gone, though its name is still told.
    monitor.ask()
    other.answer(TIME_STATUS, second[:64] + b"\x04" + second[65:], PORT_DATA[:64] + b"\x04" + PORT_DATA[65:])
    state = monitor.hear(10)
    assert state is not None
    assert (state.port_state, state.follows, state.leads) == ("LISTENING", False, False)
    silent = monitor.hear(10 + ptp.STALE_NS + 1)
    assert silent is not None
    assert (silent.port_state, silent.follows) == ("silent", False)


def test_without_ptp4l_nothing_is_known_and_nothing_fails(tmp_path: Path) -> None:
    monitor = PtpMonitor(tmp_path / "nobody")
    assert not monitor.ask()
    assert monitor.hear(0) is None
    (tmp_path / "dead").touch()
    dead = PtpMonitor(tmp_path / "dead")
    assert not dead.ask()
    dead.close()
    dead.close()


def test_one_that_may_not_be_asked_is_told_apart(
    ptp4l: tuple[Ptp4l, PtpMonitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, monitor = ptp4l
    assert monitor.ask()
    assert not monitor.forbidden

    class Closed:
        def sendto(self, *_: object) -> int:
            raise PermissionError(13, "Permission denied")

        def close(self) -> None:
            real.close()

    real = monitor._socket
    assert real is not None
    monkeypatch.setattr(monitor, "_socket", Closed())
    assert not monitor.ask()
    assert monitor.forbidden


def test_tai_and_utc_are_told_apart() -> None:
    now_ns = 1_800_000_000 * NS_PER_S

    def slip_s(state: PtpState, tai_ns: int, utc_ns: int) -> int:
        return round(state.slip_ns(tai_ns=tai_ns, realtime_ns=utc_ns) / NS_PER_S)

    card = PtpState(0, True, ingress_ns=now_ns, port_state="SLAVE", timestamping="HARDWARE", ptp_timescale=True)
    assert slip_s(card, now_ns, now_ns - 37 * NS_PER_S) == 0
    # phc2sys was told the wrong offset: the time of day holds TAI, and 37 s come on top.
    assert slip_s(card, now_ns + 37 * NS_PER_S, now_ns) == 37
    software = PtpState(
        0, True, ingress_ns=now_ns, port_state="SLAVE", timestamping="SOFTWARE", utc_offset_s=37, utc_offset_valid=True
    )
    assert slip_s(software, now_ns, now_ns - 37 * NS_PER_S) == 0
    assert slip_s(software, now_ns, now_ns) == -37
    unknown = PtpState(0, True, ingress_ns=now_ns, port_state="UNCALIBRATED", timestamping="HARDWARE")
    assert slip_s(unknown, now_ns + 100 * NS_PER_S, now_ns) == 0


@given(st.sampled_from(ptp.ASKED), st.integers(0, 65535), st.integers(0, 255), st.integers(0, 65535))
def test_requests_are_whole_messages(what: int, sequence: int, domain: int, port: int) -> None:
    data = request(what, sequence=sequence, domain=domain, port=port)
    assert len(data) == 54
    assert response(data) == "action"


def _may_have_namespaces() -> bool:
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("ptp4l", "ip", "unshare"))


def eventually(check: Callable[[], bool], *, timeout_s: float = 30.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.mark.slow
@pytest.mark.skipif(not _may_have_namespaces(), reason="needs root, linuxptp and iproute2")
def test_a_real_grandmaster_is_heard_and_missed(tmp_path: Path) -> None:
    """Two real ptp4l in namespaces of their own, software stamps, free running: no clock is touched."""
    names = [f"ovptp{os.getpid()}{end}" for end in "ab"]
    links = [f"ov{os.getpid()}{end}" for end in "ab"]
    programs: list[subprocess.Popen[bytes]] = []

    def run(*argv: str) -> None:
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        if done.returncode:
            pytest.skip(f"{' '.join(argv)}: {done.stderr.decode().strip()}")

    try:
        for name in names:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", links[0], "netns", names[0], "type", "veth", "peer", links[1], "netns", names[1])
        for index, (name, link) in enumerate(zip(names, links, strict=True)):
            run("ip", "-n", name, "addr", "add", f"10.99.7.{index + 1}/24", "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")
            config = tmp_path / f"{index}.cfg"
            role = "priority1 1" if index == 0 else "slaveOnly 1"
            config.write_text(
                "[global]\nfree_running 1\ntime_stamping software\ndomainNumber 127\nlogAnnounceInterval -2\n"
                f"logSyncInterval -3\nuds_address {tmp_path}/uds{index}\n{role}\n"
            )
            argv = ["ip", "netns", "exec", name, "ptp4l", "-i", link, "-f", str(config)]
            programs.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        monitor = PtpMonitor(tmp_path / "uds1")

        def state() -> PtpState | None:
            monitor.ask()
            time.sleep(0.05)
            return monitor.hear(time.monotonic_ns())

        assert eventually(lambda: (now := state()) is not None and now.follows and now.ingress_ns > 0)
        now = state()
        assert now is not None
        assert (now.interface, now.timestamping, now.utc_offset_s) == (links[1], "SOFTWARE", 37)
        assert abs(now.ingress_ns - time.time_ns()) < 5 * NS_PER_S
        assert abs(now.offset_ns) < NS_PER_S // 100, "both stamp with this machine's one clock"
        assert len(now.identity) == 18
        programs[0].terminate()
        assert eventually(lambda: (now := state()) is not None and not now.follows)
        programs[1].terminate()
        assert eventually(lambda: (now := state()) is not None and now.port_state == "silent")
        assert monitor.refused == {}
        monitor.close()
        wrong = PtpMonitor(tmp_path / "uds1", domain=3)
        wrong.close()
    finally:
        for program in programs:
            program.terminate()
            program.wait(10)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20, check=False)
