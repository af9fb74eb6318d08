"""The console's words: every alarm the house can raise is told in Chinese too, and every usual refusal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.alarm_codes import CODES
from controller.api.problems import STATUS

pytestmark = pytest.mark.console


def test_every_alarm_is_told_in_chinese(root: Path) -> None:
    text = (root / "web/src/shell/alarm_words.ts").read_text()
    known = set(re.findall(r'^  "([a-z0-9]+\.[a-z0-9_]+)": \[', text, re.MULTILINE))
    assert set(CODES) == known, "web/src/shell/alarm_words.ts has no words for them, or words for none"


def test_no_alarm_is_told_by_reading_its_english(root: Path) -> None:
    """Figures and names come from `values`, and each is one that its code carries."""
    text = (root / "web/src/shell/alarm_words.ts").read_text()
    assert not re.search(r"detail,\s*/|detail\.match|exec\(", text)
    rows = re.findall(r'^  "([a-z0-9]+\.[a-z0-9_]+)": (\[.*\]),$', text, re.MULTILINE)
    assert len(rows) == len(CODES)
    for code, row in rows:
        assert set(re.findall(r"\bv\.(\w+)", row)) <= set(CODES[code].values), code


def test_every_refusal_with_a_status_of_its_own_is_told_in_chinese(root: Path) -> None:
    text = (root / "web/src/lib/problem_words.ts").read_text()
    known = set(re.findall(r'^  "([a-z]+\.[a-z_]+)": \[', text, re.MULTILINE))
    for kind, status in STATUS.items():
        assert kind.code in known or re.search(rf"\b{status}: ", text), kind
