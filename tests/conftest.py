"""What every test may ask for: the GPU device of its worker, and the reference data beside the checkout."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from renderer.device import Device

# Mesa reads it when the first context is made: one raster thread a process, since tests run side by side.
os.environ.setdefault("LP_NUM_THREADS", "1")

# A shell starts what runs in its background deaf to Ctrl-C, and every child would inherit that: the programs these
# tests start must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

# Software GL and shared machines make any deadline a matter of luck.
settings.register_profile("here", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True, print_blob=True)
# What `scripts/test --all` asks for.
settings.register_profile("deep", parent=settings.get_profile("here"), max_examples=200)
settings.load_profile("ci" if os.environ.get("CI") else "here")


BUDGETS_S = {"unit": 310, "truth": 40, "e2e": 55, "timing": 130, "console": 35}
"""What each kind of test may take on two cores with software GL, in the default run: ten minutes with the set-up."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what each kind of test took of its budget (a worker's share, when several ran side by side)."""
    workers = max(1, config.getoption("numprocesses", None) or 1)
    took_s: dict[str, float] = {}
    # Folders are keywords, too: one of them has the name of a mark.
    marks = [mark for mark in ("timing", "console") if f"not {mark}" not in (config.getoption("markexpr", "") or "")]
    for reports in terminalreporter.stats.values():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue
            folder = report.nodeid.partition("/")[2].partition("/")[0]
            marked = [mark for mark in marks if mark in report.keywords]
            kind = marked[0] if marked else folder if folder in BUDGETS_S else "unit"
            took_s[kind] = took_s.get(kind, 0.0) + report.duration / workers
    told = [f"{kind} {took:.0f} of {BUDGETS_S[kind]} s" for kind, took in sorted(took_s.items())]
    if told:
        over = any(took > BUDGETS_S[kind] for kind, took in took_s.items())
        terminalreporter.write_line("time used: " + ", ".join(told), yellow=over)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no collection of garbage looks through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference documents and samples; the test is skipped where it is absent."""
    folder = Path(os.environ.get("OPENVOLUME_REFERENCE") or ROOT.parent / "shared" / "reference")
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder} (OPENVOLUME_REFERENCE names another place)")
    return folder


_made: list[Device] = []


@pytest.fixture(scope="session")
def gl() -> Iterator[Device]:
    """The worker's one GPU device (`gl.ctx` is its moderngl context): headless GL 4.5 through EGL."""
    from renderer.device import Device

    device = Device.create()
    _made.append(device)
    yield device
    _made.clear()
    device.release()


@pytest.fixture(autouse=True)
def _gl_stays_current() -> Iterator[None]:
    """A test that runs a command in this process makes a device of its own; afterwards `gl` is current again."""
    yield
    for device in _made:
        device.ctx.__enter__()
