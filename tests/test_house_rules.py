"""The code keeps the house's rules: told, short, in one place, with units in its names and nothing left undone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("stage", "runtime", "tracking", "renderer", "calibration", "controller", "configs")
LONGEST = 620

UNDONE = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|[Ff]or now|[Ss]tub|STUB|[Pp]laceholder)\b|raise NotImplementedError(\(\))?$"
)

UNIT = re.compile(
    r"_(m|mm|um|deg|rad|px|mpx|ns|us|ms|s|frames|nits|hz|fps|ev|db|bytes|mb|bits|w|ppm|stops|k|(m|mm|deg|rad|px)?_?per_\w+)$"
)
BARE_QUANTITY = re.compile(
    r"(^|_)(focal_length|distance|delay|duration|timeout|pan|tilt|roll|angle|radius|luminance|interval|lifetime|nodal"
    r"|diameter|thickness|overscan|latency|elevation|azimuth|pitch|yaw|entrance_pupil|sensor_width|sensor_height)$"
)
NUMBERS = re.compile(r"^(float|int|np\.float64|Array|tuple\[(float|int)\b.*)( \| None)?$")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file git knows or would take, or, without git, every file of the packages and tests."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
        found = [ROOT / name for name in listing if name]
    except (OSError, subprocess.CalledProcessError):
        found = [path for name in (*PACKAGES, "tests", "scripts") for path in (ROOT / name).rglob("*")]
    return tuple(sorted(path for path in found if path.is_file()))


def sources(*folders: str, suffix: str = ".py") -> list[Path]:
    return [path for path in tracked_files() if path.relative_to(ROOT).parts[0] in folders and path.suffix == suffix]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def public_parts(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of its public classes."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
                        yield inner


def is_told_elsewhere(part: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Overloads and overrides are told by what they stand for; one-line properties say all by their name."""
    names = {ast.unparse(decorator).split(".")[-1] for decorator in part.decorator_list}
    return bool(names & {"overload", "override", "setter"}) or ("property" in names and len(part.body) == 1)


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def unit_named(name: str) -> bool:
    """Whether a name that ends in a bare quantity word says its unit after all (`pan_deg` does, `pan` does not)."""
    return not BARE_QUANTITY.search(name) or bool(UNIT.search(name))


def test_the_rules_see_the_code() -> None:
    assert len(sources(*PACKAGES)) > 10
    assert any(path.name == "frames.py" for path in sources("stage"))


def test_every_module_says_what_it_is_for() -> None:
    silent = [where(path, 1) for path in sources(*PACKAGES, "tests") if not ast.get_docstring(tree(path))]
    assert not silent


def test_files_are_short() -> None:
    long = {}
    for path in tracked_files():
        if path.suffix in {".py", ".glsl", ".vert", ".frag", ".ts", ".svelte", ".sh"} or path.parent.name == "scripts":
            lines = len(path.read_text().splitlines())
            if lines > LONGEST:
                long[str(path.relative_to(ROOT))] = lines
    assert not long


def test_public_parts_are_told() -> None:
    silent = [
        f"{where(path, part.lineno)} {part.name}"
        for path in sources("stage", "runtime", "tracking", "renderer", "calibration")
        for part in public_parts(tree(path))
        if not ast.get_docstring(part) and not is_told_elsewhere(part)
    ]
    assert not silent


def test_fields_and_parameters_carry_units() -> None:
    bare = []
    for path in sources(*PACKAGES):
        for node in ast.walk(tree(path)):
            named: list[tuple[str, ast.expr | None, int]] = []
            if isinstance(node, ast.ClassDef):
                named = [
                    (field.target.id, field.annotation, field.lineno)
                    for field in node.body
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                ]
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                named = [
                    (argument.arg, argument.annotation, argument.lineno)
                    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                ]
            for name, annotation, line in named:
                if annotation is None or not NUMBERS.match(ast.unparse(annotation)):
                    continue
                if not unit_named(name):
                    bare.append(f"{where(path, line)} {name}: {ast.unparse(annotation)}")
    assert not bare


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("pan", False),
        ("pan_deg", True),
        ("focal_length", False),
        ("focal_length_mm", True),
        ("output_delay", False),
        ("delay_frames", True),
        ("stage", True),
        ("panel", True),
    ],
)
def test_the_unit_rule_tells_good_from_bad(name: str, good: bool) -> None:
    assert unit_named(name) is good


def test_transforms_are_named_by_their_frames() -> None:
    """`stage_from_camera`, never `camera_matrix`. glTF's own `matrix` key stays inside its reader."""
    bad = []
    for path in sources(*PACKAGES):
        if "gltf" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(tree(path)):
            name, line = "", 0
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name, line = node.id, node.lineno
            elif isinstance(node, ast.arg):
                name, line = node.arg, node.lineno
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                name, line = node.name, node.lineno
            if re.search(r"(^|_)(matrix|mat4|mat)(_|$)", name, re.IGNORECASE):
                bad.append(f"{where(path, line)} {name}")
    assert not bad


def test_nothing_is_left_undone() -> None:
    left = []
    for path in tracked_files():
        parts = path.relative_to(ROOT).parts
        if parts[0] not in (*PACKAGES, "tests", "scripts", ".ci", "web", "docs") or "console" in parts:
            continue
        if path == Path(__file__) or path.suffix not in {".py", ".glsl", ".vert", ".frag", ".ts", ".md", ".yaml", ""}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if UNDONE.search(line):
                left.append(f"{where(path, number)} {line.strip()}")
    assert not left


def test_package_roots_are_light() -> None:
    """Importing a package imports nothing beyond the standard library: `--help` is quick, children load their part."""
    heavy = []
    for path in sources(*PACKAGES):
        if path.name != "__init__.py":
            continue
        for node in tree(path).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heavy += [
                f"{where(path, node.lineno)} {name}"
                for name in names
                if name.split(".")[0] not in sys.stdlib_module_names
            ]
    assert not heavy


def test_packages_are_typed_and_laid_out() -> None:
    for name in PACKAGES:
        assert (ROOT / name / "py.typed").is_file(), name
        for folder in {path.parent for path in sources(name)}:
            assert (folder / "__init__.py").is_file(), folder
    assert not [path for path in tracked_files() if path.name in {"utils.py", "helpers.py", "common.py", "misc.py"}]
    assert not [path for path in sources("tests") if path.name == "__init__.py"]


def test_locks_pin_everything_with_hashes_and_name_no_index() -> None:
    locks = [path for path in tracked_files() if path.parent.name == "requirements"]
    assert {path.name for path in locks} >= {"run.lock", "test.lock"}
    for path in locks:
        assert "://" not in path.read_text(), path
        if path.suffix == ".lock":
            pins = re.findall(r"^[a-z].*$", path.read_text(), re.MULTILINE)
            assert pins
            assert all("==" in pin and pin.endswith("\\") for pin in pins), path
            names = [pin.split("==")[0] for pin in pins]
            assert len(names) == len(set(names)), f"{path}: one version of everything, for every Python"


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")], ids=["check", "format"])
def test_ruff_is_content(arguments: tuple[str, ...]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--no-cache", "--quiet", "--output-format=concise", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr


@pytest.mark.timeout(330)
def test_types_hold() -> None:
    # With what it found out before in this checkout, as scripts/lint: only a fresh one takes the whole half minute.
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    errors = [line for line in result.stdout.splitlines() if ": error:" in line]
    assert result.returncode == 0, "\n".join(errors) + result.stderr
