"""The list of all alarms is whole: every code that is raised is in it, with the values that it is raised with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from controller.alarm_codes import CODES, page
from controller.errors import StoreError
from runtime.errors import ReferenceOpenError
from tracking.errors import ListenError

MADE = {
    "windows.{fault.kind}": ("controller/windows", r'Fault\(\s*"(\w+)"', "windows."),
    "processor.{kind}": ("controller/processors/alarms.py", r'_(?:alarm|told)\(\s*"(\w+)"', "processor."),
    "process.{state}": ("controller/api", r'in \("(gone)", "(stale)"\)', "process."),
}
"""Codes that are put together: where their second half is found."""
HANDED = {
    "controller/conductor_status.py": ("runtime", r'"(clock\.[a-z_]+)"'),
    "controller/sources.py": ("tracking", r'Problem\(\s*"(tracking\.[a-z_]+)"'),
    "controller/node_telling.py": ("controller/node.py", r'_failed\(\s*"(node\.\w+)"'),
    "controller/api/keeping.py": ("controller/api/keeping.py", r'"(store\.\w+)"'),
    "controller/engines.py": ("controller/engines.py", r'"(node\.engine_late)"'),
    "controller/st2110/role.py": ("controller", r'"(sender\.no_\w+)"'),
    "controller/windows/presenter.py": ("", ""),  # put together, above
    "controller/listening.py": ("", ""),  # ListenError's and the like, below
}
"""Files that make alarms of what others hand them: where those codes are found."""
TRACKING = ("tracking/report.py", "tracking/feed.py")
KINDS = {"Alarm", "Problem", "Fault"}
UNITS = re.compile(r".*_(ms|ns|s|hz|px|mb|ppm|percent|frames|bits)")
COUNTS = {"take", "times", "ends", "heard_one_in", "lost"}
"""Figures that need no unit."""
WORDS = {
    "address", "backup", "configured", "connector", "connectors", "device", "effect", "error", "fault", "file",
    "folder", "found", "held", "holder", "input", "last_exit", "lost", "monitor", "moved_to", "moves", "paths",
    "place", "port_state", "reason", "reference", "refused", "rival", "rolling", "setting", "source", "sources",
    "state", "troubles", "wanted", "why",
}  # fmt: skip
"""What is no figure."""


def sources(root: Path, where: str) -> list[tuple[str, str]]:
    place = root / where
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return [(str(file.relative_to(root)), file.read_text()) for file in files]


def raised(root: Path) -> set[str]:
    """Every code an alarm can have."""
    found = {ReferenceOpenError.code, ListenError.code, StoreError.code, "tracking.source_lost", "tracking.source_bad"}
    for name, text in sources(root, "controller"):
        for code in re.findall(r'\bAlarm\(\s*f?"([^"]+)"', text):
            if "{" not in code:
                found.add(code)
                continue
            where, pattern, prefix = MADE[code]
            for _, other in sources(root, where):
                for match in re.findall(pattern, other):
                    found.update(prefix + part for part in ([match] if isinstance(match, str) else match))
        for code in re.findall(r'code, values = f"(\w+\.\{[\w.]+\})"', text):
            where, pattern, prefix = MADE[code]
            for _, other in sources(root, where):
                found.update(prefix + match for match in re.findall(pattern, other))
        if re.search(r'(?<!class )\bAlarm\(\s*(?!f?"|Struct)[a-z]', text):
            where, pattern = HANDED[name]
            for path, other in sources(root, where) if where else ():
                if where != "tracking" or path in TRACKING:
                    found.update(re.findall(pattern, other))
    for kind in ("silent", "reverse", "stopped", "jumped", "rate", "drop_frame"):
        assert f'"{kind}":' in (root / "runtime/timekeeper.py").read_text()
        found.add(f"clock.timecode_{kind}")
    return found | {"clock.numbers_ahead", "clock.numbers_behind"}


def carried(root: Path) -> Iterator[tuple[str, set[str]]]:
    """Names of values as they stand where alarms are raised, with the code where that stands there, too."""
    for where in ("controller", "tracking", "runtime"):
        for path, text in sources(root, where):
            if "values" not in text and path != "controller/processors/alarms.py":
                continue
            for function in ast.walk(ast.parse(text)):
                if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield from _carried_in(function, path)


def _carried_in(function: ast.AST, path: str) -> Iterator[tuple[str, set[str]]]:
    named: dict[str, list[tuple[int, set[str]]]] = {}
    for node in ast.walk(function):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target, value = node.targets[0] if isinstance(node, ast.Assign) else node.target, node.value
            pairs = (
                zip(target.elts, value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
                else [(target, value)]
            )
            for one, held in pairs:
                if isinstance(one, ast.Name) and (keys := _keys(held)):
                    named.setdefault(one.id, []).append((node.lineno, keys))
    for lines in named.values():
        lines.sort(key=lambda one: one[0])
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        first = str(node.args[0].value) if node.args and isinstance(node.args[0], ast.Constant) else ""
        if name in KINDS:
            told = [k.value for k in node.keywords if k.arg == "values"] + node.args[5:7]
            carries: set[str] = set()
            for value in told:
                before = [held for line, held in named.get(getattr(value, "id", ""), []) if line <= node.lineno]
                carries |= _keys(value) or (before[-1] if before else set())
            prefix = "windows." if name == "Fault" else ""
            if carries:
                yield (f"{prefix}{first}" if first else ""), carries
        elif name == "_alarm" and path.endswith("processors/alarms.py"):
            kind = f"processor.{first}" if first else ""
            yield kind, {k.arg for k in node.keywords if k.arg}
        elif name == "tell" or (name == "_tell" and path.endswith("keeping.py")):
            code = next((str(a.value) for a in node.args[1:2] if isinstance(a, ast.Constant)), "")
            yield code, {k.arg for k in node.keywords if k.arg}


def _keys(value: ast.expr) -> set[str]:
    if not isinstance(value, ast.Dict):
        return set()
    return {key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def test_every_alarm_that_is_raised_is_in_the_list(root: Path) -> None:
    assert raised(root) == set(CODES)
    assert list(CODES) == sorted(CODES)


def test_what_alarms_carry_is_in_the_list(root: Path) -> None:
    everywhere = set().union(*(one.values for one in CODES.values()))
    seen: dict[str, set[str]] = {}
    for code, keys in carried(root):
        if code in CODES:
            assert keys <= set(CODES[code].values), code
            seen.setdefault(code, set()).update(keys)
        seen.setdefault("", set()).update(keys & everywhere)
    assert everywhere - seen.pop("") == set(), "the list tells of values that nothing carries"
    assert len(seen) > 40, "they are found another way by now"
    for code, keys in seen.items():
        if keys:
            assert keys == set(CODES[code].values), code


def test_every_entry_says_what_to_do_and_names_its_units() -> None:
    for code, one in CODES.items():
        assert one.severities, code
        assert one.cause, code
        assert one.mend, code
        for name, what in one.values.items():
            assert what, (code, name)


def test_figures_have_units_in_their_names() -> None:
    told = {name: code for code, one in CODES.items() for name in one.values}
    assert {name: code for name, code in told.items() if not (name in COUNTS | WORDS or UNITS.fullmatch(name))} == {}


def test_the_page_is_as_the_list_is(root: Path) -> None:
    said = "docs/alarms.md is not current: python -m controller.alarm_codes > docs/alarms.md"
    assert (root / "docs/alarms.md").read_text() == page(), said
