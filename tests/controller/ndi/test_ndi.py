"""NDI sources against a library made up here: written in C, it keeps what it is given as the maker's would read it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from controller.ndi import source
from controller.ndi.source import FOLDERS, NdiError, NdiSource
from controller.preflight import _streams
from controller.processes.sender import SenderWhenNeeded
from controller.rundir import RunDir
from controller.st2110.status import SenderStatus
from runtime.clock import NS_PER_S, VirtualClock
from runtime.ring import KIND_CANVAS, RingWriter, fourcc
from stage.rate import Rate

WIDTH_PX, HEIGHT_PX = 44, 22
MADE_UP = r"""
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
/* Of a source: its name and groups. Of a picture: size, four characters, rate, aspect, progressive or not, time code,
   pixels, octets of a row, metadata, time stamp. A picture is read when the next one comes, as by a busy encoder. */
struct source { const char *name, *groups; bool clock_video, clock_audio; };
struct picture {
  int w, h; uint32_t fourcc; int num, den; float aspect; int progressive; int64_t timecode; uint8_t *data; int stride;
  const char *metadata; int64_t timestamp;
};
char names[256], four[5]; int fields[9], given, read_pictures, sources, clocked; uint8_t pixels[1 << 20];
static uint8_t *lent; static int lent_octets;
bool NDIlib_initialize(void) { return true; }
void *NDIlib_send_create(const struct source *made) {
  if (!strcmp(made->name, "taken")) return 0;
  strcat(strcat(strcpy(names, made->name), "|"), made->groups ? made->groups : "");
  clocked = made->clock_video || made->clock_audio;
  sources++;
  return names;
}
static void finish(void) {
  if (lent) { memcpy(pixels, lent, lent_octets); read_pictures++; }
  lent = 0;
}
void NDIlib_send_send_video_async_v2(void *to, const struct picture *p) {
  if (to != names) return;
  finish();
  if (!p) return;
  int said[9] = {p->w, p->h, p->num, p->den, p->progressive, p->stride, p->aspect == 0.0f, p->timecode == INT64_MAX,
                 p->metadata == 0 && p->timestamp == 0};
  memcpy(fields, said, sizeof said);
  memcpy(four, &p->fourcc, 4);
  lent = p->data;
  lent_octets = p->stride * p->h;
  given++;
}
void NDIlib_send_destroy(void *to) { if (to == names && !lent) sources--; }
"""


class Library:
    """What the made-up library was given."""

    def __init__(self, path: Path) -> None:
        self.folder, self._loaded = path.parent, ctypes.CDLL(str(path))

    def number(self, name: str) -> int:
        return ctypes.c_int.in_dll(self._loaded, name).value

    def text(self, name: str) -> str:
        return (ctypes.c_char * 256).in_dll(self._loaded, name).value.decode()

    @property
    def fields(self) -> list[int]:
        return list((ctypes.c_int * 9).in_dll(self._loaded, "fields"))

    @property
    def pixels(self) -> np.ndarray[Any, Any]:
        data = bytes((ctypes.c_uint8 * (WIDTH_PX * HEIGHT_PX * 4)).in_dll(self._loaded, "pixels"))
        return np.frombuffer(data, np.uint8).reshape(HEIGHT_PX, WIDTH_PX, 4)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Library:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (apt: gcc libc6-dev)")
    folder = tmp_path_factory.mktemp("ndi")
    (folder / "made_up.c").write_text(MADE_UP)
    path = folder / "libndi.so.6"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", path, folder / "made_up.c"], check=True
    )
    return Library(path)


@pytest.fixture
def library(built: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("NDI_RUNTIME_DIR_V6", str(built.folder))
    yield built
    assert built.number("sources") == 0, "every source is taken out, once its last picture is read"


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FOLDERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(source, "NAMES", ("libndi-that-nobody-has.so",))


def canvas(seed: int, dtype: Any = np.uint32) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    if dtype == np.uint32:
        return rng.integers(0, 1 << 30, (HEIGHT_PX, WIDTH_PX), dtype=np.uint32)
    return rng.integers(0, 4096 if dtype == np.uint16 else 256, (HEIGHT_PX, WIDTH_PX, 4), dtype=dtype)


def seen(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Red, green and blue of eight bits, and X."""
    if picture.dtype == np.uint32:
        rgb = np.stack([picture >> shift & 1023 for shift in (0, 10, 20)], -1) >> 2
    else:
        rgb = picture[..., :3] >> (4 if picture.dtype == np.uint16 else 0)
    return np.concatenate([rgb, np.full((HEIGHT_PX, WIDTH_PX, 1), 255)], -1).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint16])
def test_pictures_stay_whole_until_they_are_read(library: Library, dtype: Any) -> None:
    made = NdiSource("wall left", WIDTH_PX, HEIGHT_PX, rate=Rate(24_000, 1001), where="outputs/left/ndi", groups="a,b")
    assert (library.text("names"), library.number("clocked")) == ("wall left|a,b", 0)
    before = library.number("read_pictures")
    pictures = [canvas(seed, dtype) for seed in range(3)]
    for number, picture in enumerate(pictures):
        made.write(picture)
        assert library.fields == [WIDTH_PX, HEIGHT_PX, 24_000, 1001, 1, 4 * WIDTH_PX, 1, 1, 1]
        assert library.number("read_pictures") == before + number
        if number:
            assert (library.pixels == seen(pictures[number - 1])).all()
    assert (ctypes.c_char * 5).in_dll(library._loaded, "four").value == b"RGBX"
    made.close()
    made.close()
    assert (library.pixels == seen(pictures[-1])).all()


def test_a_name_that_is_taken_is_told(library: Library) -> None:
    with pytest.raises(NdiError, match="no source 'taken'"):
        NdiSource("taken", WIDTH_PX, HEIGHT_PX, rate=Rate(24), where="outputs/left/ndi")


@pytest.mark.usefixtures("no_library")
def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NdiError, match="is not here") as caught:
        NdiSource("wall", WIDTH_PX, HEIGHT_PX, rate=Rate(24), where="outputs/left/ndi")
    problem = caught.value.problems[0]
    assert (problem.code, problem.path) == ("sender.no_ndi", "outputs/left/ndi")
    assert "ndi.video" in problem.mend
    # Something that only has its name.
    other = tmp_path / "libndi.so.6"
    other.write_bytes(b"no library")
    monkeypatch.setattr(source, "NAMES", ("libndi.so.6",))
    monkeypatch.setenv("NDI_RUNTIME_DIR_V5", str(tmp_path))
    with pytest.raises(NdiError, match=str(other)):
        NdiSource("wall", WIDTH_PX, HEIGHT_PX, rate=Rate(24), where="outputs/left/ndi")


class Show:
    """A sender beside a ring, under a virtual clock."""

    def __init__(self, folder: Path, kit: ModuleType) -> None:
        self.run, self.clock, self._kit = RunDir.create("sent", root=folder), VirtualClock(), kit
        self.loaded = kit.write_version(self.run, kit.config_text(scale=8, outputs="    ndi: {}\n"))
        self.ring = RingWriter.create(
            self.run.canvas("main"), kind=KIND_CANVAS, capacity=WIDTH_PX * HEIGHT_PX * 4, width=WIDTH_PX,
            height=HEIGHT_PX, row_stride=WIDTH_PX * 4, pixel_format=fourcc("AB30"),
        )  # fmt: skip
        self.sender = SenderWhenNeeded(run=self.run, clock=self.clock)
        self.sender.start()

    def step(self, seconds: float) -> None:
        for _ in range(4):
            self.clock.advance_to(self.clock.now_ns() + round(seconds * NS_PER_S / 4))
            self.sender.step(self.clock.now_ns())

    def status(self) -> SenderStatus:
        told: SenderStatus = self._kit.status_of(self.run)
        return told

    def close(self) -> None:
        self.sender.stop()
        self.ring.close()


@pytest.fixture
def show(tmp_path: Path, sentkit: ModuleType) -> Iterator[Show]:
    made = Show(tmp_path, sentkit)
    yield made
    made.close()


@pytest.mark.usefixtures("no_library")
def test_a_show_waits_for_the_library_and_then_is_a_source(
    show: Show, built: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    show.step(1.0)
    (alarm,) = show.status().alarms
    assert (alarm.code, alarm.path, alarm.severity) == ("sender.no_ndi", "outputs/main/ndi", "warning")
    (finding,) = _streams(show.loaded)
    assert (finding.part, finding.colour) == ("NDI source main", "amber")

    monkeypatch.setattr(source, "NAMES", ("libndi.so.6",))
    monkeypatch.setenv("NDI_RUNTIME_DIR_V6", str(built.folder))
    (finding,) = _streams(show.loaded)
    assert finding.colour == "green"
    before = built.number("given")
    show.step(3.0)
    assert show.status().alarms == []
    assert (built.text("names"), built.number("sources")) == ("OpenVolume main|", 1)
    for seed in (5, 6):
        show.ring.publish(canvas(seed).tobytes(), frame=seed, t_ns=seed)
        show.step(0.1)
    assert built.number("given") == before + 2
    assert (built.pixels == seen(canvas(5))).all()
