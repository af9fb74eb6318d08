"""Preflight looks at the clock: kept or not, TAI known or not, ptp4l there or not, time code to be had or not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller import preflight
from controller.preflight import Finding
from runtime.config import TimeConfig
from runtime.references import ptp
from runtime.references.system import KernelClock, Sync, SystemDiscipline


def found(monkeypatch: pytest.MonkeyPatch, kernel: KernelClock, **time: object) -> list[Finding]:
    real = SystemDiscipline.read

    def read(self: SystemDiscipline, now_ns: int) -> Sync:
        self.kernel = lambda: kernel
        return real(self, now_ns)

    monkeypatch.setattr(SystemDiscipline, "read", read)
    config = TimeConfig.model_validate({"ptp": {"socket": "/nonexistent/ptp4l"}, **time})
    return [*preflight._clock(config), *preflight._timecode(config)]


def test_a_kept_clock_is_green_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = found(monkeypatch, KernelClock(True, max_error_ns=1_500_000, tai_offset_s=37))
    assert (finding.colour, finding.mend) == ("green", "")
    assert "1.5 ms" in finding.detail


@pytest.mark.parametrize("reference", ["auto", "system", "free"])
def test_one_that_nobody_keeps_is_amber_where_it_counts(monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    (finding,) = found(monkeypatch, KernelClock(False, tai_offset_s=0), reference=reference)
    assert finding.colour == ("green" if reference == "free" else "amber")
    assert bool(finding.mend) == (reference != "free")


def test_a_kernel_without_tai_is_told_how_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = found(monkeypatch, KernelClock(True, tai_offset_s=0))
    assert finding.colour == "amber"
    assert "adjtimex --tai 37" in finding.mend


def test_time_code_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = KernelClock(True, tai_offset_s=37)
    timecode = {"type": "mtc", "path": str(tmp_path / "none")}
    _, finding = found(monkeypatch, kept, reference="timecode", timecode=timecode)
    assert (finding.part, finding.colour) == ("time code", "red")
    assert "mkfifo" in finding.mend
    _, finding = found(monkeypatch, kept, timecode={"type": "art_timecode", "listen": "127.0.0.1:0"})
    assert finding.colour == "green"


@pytest.fixture
def silent_ptp4l(tmp_path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "ptp4l"))
        yield tmp_path / "ptp4l"


def test_a_ptp4l_of_another_domain_is_told(silent_ptp4l: Path) -> None:
    findings = list(preflight._clock(TimeConfig.model_validate({"ptp": {"socket": str(silent_ptp4l), "domain": 3}})))
    assert findings[-1].part == "PTP"
    assert "domain 3" in findings[-1].detail
    assert "domainNumber" in findings[-1].mend


def test_a_locked_ptp4l_is_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers TIME_STATUS_NP and PORT_DATA_SET as linuxptp does."""
    path = tmp_path / "ptp4l"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))

        def answer() -> None:
            for _ in ptp.ASKED:
                asked, sender = other.recvfrom(2048)
                what = int.from_bytes(asked[52:54], "big")
                if what == ptp.TIME_STATUS:
                    body = ptp._TIME_STATUS.pack(-42, 0, 0, 0, 0, 0, 0, 0, 1, bytes.fromhex("0011223344556677"))
                elif what == ptp.PORT_DATA_SET:
                    body = ptp._PORT_DATA_SET.pack(b"\0" * 9 + b"\1", 9, 0, 0, 0, 3, 0, 1, 0, 2)
                else:
                    continue
                head = asked[:2] + (54 + len(body)).to_bytes(2, "big") + asked[4:46] + b"\x02"
                other.sendto(head + asked[47:50] + (2 + len(body)).to_bytes(2, "big") + asked[52:54] + body, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setattr(preflight, "PTP_PATIENCE_NS", 1_000_000_000)
        findings = list(preflight._clock(TimeConfig.model_validate({"ptp": {"socket": str(path)}})))
        thread.join()
    (finding,) = [finding for finding in findings if finding.part == "PTP"]
    assert finding.colour == "green"
    assert "001122.3344.556677, -42 ns off" in finding.detail
