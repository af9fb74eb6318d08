"""The console's words: every alarm the house can raise is told in Chinese too, and every usual refusal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.api.problems import STATUS
from runtime.errors import ReferenceOpenError
from tracking.errors import ListenError

pytestmark = pytest.mark.console
MADE = {
    "windows.{fault.kind}": ("controller/windows", r'Fault\(\s*"(\w+)"', "windows."),
    "processor.{kind}": ("controller/processors/alarms.py", r'_(?:alarm|told)\(\s*"(\w+)"', "processor."),
    "process.{state}": ("controller/api/present.py", r'in \("(gone)", "(stale)"\)', "process."),
}
"""Codes that are put together: where their second half is found."""
HANDED = {
    "controller/conductor_status.py": ("runtime", r'"(clock\.[a-z_]+)"'),
    "controller/sources.py": ("tracking", r'Problem\(\s*"(tracking\.[a-z_]+)"'),
    "controller/node_telling.py": ("controller/node.py", r'_failed\(\s*"(node\.\w+)"'),
    "controller/api/keeping.py": ("controller/api/keeping.py", r'"(store\.\w+)"'),
    "controller/engines.py": ("controller/engines.py", r'"(node\.engine_late)"'),
    "controller/st2110/role.py": ("controller", r'"(sender\.no_\w+)"'),
    "controller/listening.py": ("", ""),  # ListenError's and the like, below
    "controller/windows/presenter.py": ("", ""),  # the same alarm again, with since when
}
"""Files that make alarms of what others hand them: where those codes are found."""
TRACKING = ("tracking/report.py", "tracking/feed.py")


def sources(root: Path, where: str) -> list[tuple[str, str]]:
    place = root / where
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return [(str(file.relative_to(root)), file.read_text()) for file in files]


def codes(root: Path) -> set[str]:
    """Every code an alarm can have."""
    found: set[str] = {ReferenceOpenError.code, ListenError.code, "tracking.source_lost", "tracking.source_bad"}
    for name, text in sources(root, "controller"):
        for code in re.findall(r'\bAlarm\(\s*f?"([^"]+)"', text):
            if "{" not in code:
                found.add(code)
                continue
            where, pattern, prefix = MADE[code]
            for _, other in sources(root, where):
                for match in re.findall(pattern, other):
                    found.update(prefix + part for part in ([match] if isinstance(match, str) else match))
        if re.search(r'(?<!class )\bAlarm\(\s*(?!f?"|Struct)[a-z]', text):
            where, pattern = HANDED[name]
            for path, other in sources(root, where) if where else ():
                if where != "tracking" or path in TRACKING:
                    found.update(re.findall(pattern, other))
    for kind in ("silent", "reverse", "stopped", "jumped", "rate", "drop_frame"):
        assert f'"{kind}":' in (root / "runtime/timekeeper.py").read_text()
        found.add(f"clock.timecode_{kind}")
    return found | {"clock.numbers_ahead", "clock.numbers_behind"}


def test_every_alarm_is_told_in_chinese(root: Path) -> None:
    text = (root / "web/src/shell/alarm_words.ts").read_text()
    known = set(re.findall(r'^  "([a-z0-9]+\.[a-z0-9_]+)": \[', text, re.MULTILINE))
    raised = codes(root)
    assert len(raised) > 70, "they are found another way by now"
    assert raised - known == set(), "web/src/shell/alarm_words.ts has no words for them"


def test_every_refusal_with_a_status_of_its_own_is_told_in_chinese(root: Path) -> None:
    text = (root / "web/src/lib/problem_words.ts").read_text()
    known = set(re.findall(r'^  "([a-z]+\.[a-z_]+)": \[', text, re.MULTILINE))
    for kind, status in STATUS.items():
        assert kind.code in known or re.search(rf"\b{status}: ", text), kind
