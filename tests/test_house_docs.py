"""What the documents say is so: their links lead somewhere, the files and commands they name exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    gone = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_.]+\.(?:py|yaml|lock|md))`", text)
    gone += [name for name in named if not (ROOT / name).exists()]
    assert not gone


def test_readme_begins_with_the_two_commands_and_they_exist() -> None:
    text = (ROOT / "README.md").read_text()
    first, second = re.findall(r"^\./(scripts/\w+)", text, re.MULTILINE)[:2]
    assert (first, second) == ("scripts/run", "scripts/test")
    assert text.index("./scripts/run") < text.index("## ")
    for name in (first, second):
        assert (ROOT / name).stat().st_mode & 0o100, name


def test_commands_in_the_readme_exist() -> None:
    named = set(re.findall(r"^openvolume (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert len(named) >= 6
    shown = subprocess.run(
        [sys.executable, "-c", "from controller.cli import main; main()", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert not [name for name in named if not re.search(rf"\b{name}\b", shown)]


def test_every_decision_is_numbered_once() -> None:
    numbers = [path.name[:3] for path in sorted((ROOT / "docs/decisions").glob("*.md"))]
    assert numbers == [f"{number:03d}" for number in range(1, len(numbers) + 1)]
