"""Sentences of the service that the console tells in Chinese by their form: every one the code can make has a form.

The sentences are read from the source: every string that a place can put together, with `1.5` for what is filled in.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from renderer.addresses import FIXED
from renderer.config import SceneConfig
from stage.plan import REASONS
from tracking.sample import Reason

pytestmark = pytest.mark.console
FILLED = "1.5"
"""Stands for what is not known before the code runs."""
COMMAND = re.compile(r"(xrandr|openvolume|sysctl)( --?[\w-]+| [\w.=]+)+$")
MOST = 400
"""Of one place: more would mean that something is resolved that should not be."""


class Module:
    """The strings a module's functions put together."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text())
        self.functions = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}
        self.constants: dict[str, ast.expr] = {}
        for node in self.tree.body:
            target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
            if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                self.constants[target.id] = node.value  # type: ignore[attr-defined]

    def strings(self, expr: ast.expr | None, function: ast.FunctionDef | None, depth: int = 0) -> set[str]:
        """What an expression may become."""
        if expr is None or depth > 12:
            return {FILLED}
        match expr:
            case ast.Constant(value=str() as text):
                return {text}
            case ast.JoinedStr(values=values):
                return self._joined([self._part(value, function, depth) for value in values])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([self.strings(one, function, depth + 1) for one in (left, right)])
            case ast.IfExp(body=body, orelse=other):
                return self.strings(body, function, depth + 1) | self.strings(other, function, depth + 1)
            case ast.BoolOp(values=values):
                return set().union(*(self.strings(one, function, depth + 1) for one in values))
            case ast.Name(id=name):
                return self._named(name, function, depth)
            case ast.Subscript(value=ast.Name(id=name)) if isinstance(self.constants.get(name), ast.Dict):
                return self._values(self.constants[name], depth)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get")) if isinstance(
                self.constants.get(name), ast.Dict
            ):
                return self._values(self.constants[name], depth)
            case ast.Call(func=ast.Attribute(value=ast.Dict() as table, attr="get")):
                return self._values(table, depth)
            case ast.Call(func=ast.Name(id="_ms")):
                return {"1.5 ms"}
            case ast.Call(func=ast.Name(id=name)) if name in self.functions:
                return self.returned(name, depth + 1)
            case ast.Subscript(value=value) if function is not None and depth and "words" in ast.dump(value):
                return {"Words"}
        return {FILLED}

    def returned(self, name: str, depth: int = 0) -> set[str]:
        """What a function may return."""
        function = self.functions[name]
        found = set[str]()
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                found |= self.strings(node.value, function, depth)
        return found

    def listed(self, name: str) -> set[str]:
        """What a function may put into the list of sentences that it returns."""
        function = self.functions[name]
        found = set[str]()
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Attribute(attr="append"), args=[one]):
                    found |= self.strings(one, function)
                case ast.Return(value=ast.List(elts=items)):
                    for one in items:
                        found |= self.strings(one, function)
                case ast.Return(value=ast.ListComp(elt=one)):
                    found |= self.strings(one, function)
        return found

    def _part(self, value: ast.expr, function: ast.FunctionDef | None, depth: int) -> set[str]:
        if not isinstance(value, ast.FormattedValue):
            return self.strings(value, function, depth)
        return {FILLED} if value.format_spec is not None else self.strings(value.value, function, depth + 1)

    def _named(self, name: str, function: ast.FunctionDef | None, depth: int) -> set[str]:
        found, added = set[str](), set[str]()
        for node in ast.walk(function) if function is not None else ():
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    found |= self.strings(value, function, depth + 1)
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                    for one, text in zip(targets, values, strict=True):
                        if isinstance(one, ast.Name) and one.id == name:
                            found |= self.strings(text, function, depth + 1)
                case ast.AugAssign(target=ast.Name(id=target), value=value) if target == name:
                    added |= self.strings(value, function, depth + 1)
        if not found and name in self.constants:
            found = self.strings(self.constants[name], None, depth + 1)
        return (found | self._joined([found, added]) if added else found) or {FILLED}

    def _values(self, table: ast.expr, depth: int) -> set[str]:
        assert isinstance(table, ast.Dict)
        return set().union(*(self.strings(value, None, depth + 1) for value in table.values))

    @staticmethod
    def _joined(parts: list[set[str]]) -> set[str]:
        return {"".join(chosen) for chosen in itertools.islice(itertools.product(*map(sorted, parts)), MOST)}


def arguments(module: Module, call: str, *places: tuple[int, str]) -> Iterator[set[str]]:
    """What stands at an argument of every call of a name, by place or keyword."""
    for function in module.functions.values():
        for node in ast.walk(function):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call):
                continue
            for place, keyword in places:
                expr = node.args[place] if len(node.args) > place else None
                expr = next((one.value for one in node.keywords if one.arg == keyword), expr)
                if expr is not None:
                    yield module.strings(expr, function)


def forms(root: Path, name: str, table: str) -> list[re.Pattern[str]]:
    """The regular expressions of a table of forms of the console."""
    text = (root / "web/src" / name).read_text()
    inside = re.search(rf"^const {table}: Form\[\] = \[\n(.*?)^\];", text, re.MULTILINE | re.DOTALL)
    assert inside is not None, f"{name} has no {table}"
    ready = re.search(r'^const READY = "(.*)";', text, re.MULTILINE)
    found: list[re.Pattern[str]] = []
    for line in inside[1].splitlines():
        plain = re.match(r"  \[/(.*?)/(i?), ", line)
        built = re.match(r"  \[new RegExp\(`(.*?)`\), ", line)
        if plain:
            found.append(re.compile(plain[1].replace("\\/", "/"), re.IGNORECASE if plain[2] else 0))
        elif built:
            end = ready[1].replace("\\\\", "\\") if ready else ""
            found.append(re.compile(built[1].replace("\\\\", "\\").replace("${READY}", end)))
        else:
            assert not line.strip() or line.strip().startswith("//"), f"{name}: not a form: {line}"
    return found


def told(sentence: str, known: list[re.Pattern[str]]) -> bool:
    """Whether a sentence has a form; one without a word of its own is somebody else's, a command everybody's."""
    return (
        not re.search(r"[A-Za-z]", sentence)
        or COMMAND.match(sentence) is not None
        or any(form.search(sentence) for form in known)
    )


def test_every_word_of_why_a_frame_was_late_has_its_chinese(root: Path) -> None:
    words = Module(root / "controller/ledger_words.py")
    page = "lib/why_words.ts"
    made = words.returned("_headline")
    for name in ("_longer", "_plan_came", "_host", "_changes", "_packets", "_sent", "_events", "_company"):
        made |= words.listed(name)
    assert len(made) > 60, "they are put together another way by now"
    known = forms(root, page, "FORMS")
    assert [one for one in sorted(made) if not told(one, known)] == [], f"{page} has no form for them"
    causes = words.returned("_cause")
    assert len(causes) > 20
    known = forms(root, page, "CAUSES")
    assert [one for one in sorted(causes) if not told(one, known)] == [], f"{page} has no cause for them"
    record = Module(root / "controller/ledger_record.py")
    for table, module, name in (
        ("STEPS", record, "STEP_WORDS"), ("REASONS", words, "REASON_WORDS"),
        ("SENT", words, "SENT_WORDS"), ("EVENTS", words, "_EVENT_WORDS"),
    ):  # fmt: skip
        known = forms(root, page, table)
        missing = [one for one in sorted(module._values(module.constants[name], 0)) if not told(one, known)]
        assert missing == [], f"{page}: {table}"


def test_every_reason_of_a_repeat_has_its_word(root: Path) -> None:
    text = (root / "web/src/lib/reason_words.ts").read_text()
    for reason in REASONS:
        assert len(re.findall(rf"\b{reason}: \"", text)) == 2, reason


def test_every_end_of_a_process_has_its_chinese(root: Path) -> None:
    supervisor = Module(root / "controller/processes/supervisor.py")
    known = forms(root, "lib/process_words.ts", "EXITS")
    made = set[str]()
    for function in supervisor.functions.values():
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[ast.Attribute(attr="last_exit")], value=value):
                    made |= supervisor.strings(value, function)
                case ast.Call(func=ast.Attribute(attr="_kill"), args=[_, ast.JoinedStr() as why]):
                    made |= {f"exit {FILLED} ({one})" for one in supervisor.strings(why, function)}
    assert len(made) >= 5
    assert [one for one in sorted(made) if not told(one, known)] == []
    names = (root / "web/src/lib/process_words.ts").read_text()
    for role in re.findall(r'_role\(\s*run, "(\w+)"', (root / "controller/run.py").read_text()):
        assert len(re.findall(rf"\b{role}: \"", names)) == 2, role


def lacking(made: Iterator[set[str]] | list[set[str]], known: list[re.Pattern[str]]) -> list[str]:
    """The sentences that have no form."""
    return [one for one in sorted(set().union(*made)) if not told(one, known)]


def test_every_finding_of_preflight_has_its_chinese(root: Path) -> None:
    page = "lib/finding_words.ts"
    parts, details = (forms(root, page, table) for table in ("PARTS", "DETAILS"))
    mends = forms(root, "lib/mend_words.ts", "MENDS")
    for name in ("controller/preflight.py", "controller/windows/look.py", "controller/windows/trial.py"):
        module = Module(root / name)
        assert lacking(arguments(module, "Finding", (0, "part")), parts) == [], name
        assert lacking(arguments(module, "_port", (0, "part")), parts) == [], name
        assert lacking(arguments(module, "Finding", (2, "detail")), details) == [], name
        assert lacking(arguments(module, "Finding", (3, "mend")), mends) == [], name
    clock = Module(root / "runtime/references/system.py")
    assert lacking(arguments(clock, "tell", (2, "detail")), details) == []
    rights = Module(root / "runtime/rights.py")
    for node in ast.walk(rights.functions["_withheld"]):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            why, mend = node.value.elts
            assert lacking([rights.strings(why, rights.functions["_withheld"])], details) == []
            assert lacking([rights.strings(mend, rights.functions["_withheld"])], mends) == []
    assert len(details) > 50


def test_every_mend_that_an_alarm_hands_on_has_its_chinese(root: Path) -> None:
    details = forms(root, "lib/finding_words.ts", "DETAILS")
    mends = forms(root, "lib/mend_words.ts", "MENDS")
    for name, call, detail, mend in (
        ("controller/windows/layout.py", "Fault", (2, "detail"), (3, "mend")),
        ("controller/ndi/source.py", "_refused", (1, "detail"), (2, "mend")),
        ("runtime/references/system.py", "tell", (2, "detail"), (3, "mend")),
    ):
        module = Module(root / name)
        assert lacking(arguments(module, call, detail), details) == [], name
        assert lacking(arguments(module, call, mend), mends) == [], name
    wire = Module(root / "runtime/references/inputs.py")
    tables = [node for node in ast.walk(wire.tree) if isinstance(node, ast.Dict) and len(node.keys) > 5]
    assert tables, "the mends stand elsewhere by now"
    assert lacking([wire._values(tables[0], 0)], mends) == []


def test_every_state_of_a_source_has_its_chinese(root: Path) -> None:
    health = Module(root / "tracking/health.py")
    known = forms(root, "lib/source_words.ts", "STATES")
    for function in health.functions.values():
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_enter":
                assert lacking([health.strings(node.args[1], function)], known) == []
    refusals = forms(root, "lib/source_words.ts", "REFUSALS")
    assert [reason for reason in get_args(Reason) if not told(reason, refusals)] == []


def test_every_live_value_of_a_scene_has_its_chinese(root: Path) -> None:
    text = (root / "web/src/pages/scenes/field_words.ts").read_text()
    known = set(re.findall(r"\b(\w+): \"", text))
    fields = set[str]()
    waiting: list[type[BaseModel]] = [SceneConfig]
    seen: set[type[BaseModel]] = set()
    while waiting:
        section = waiting.pop()
        if section in seen:
            continue
        seen.add(section)
        for name, field in section.model_fields.items():
            inside = list(_sections(field.annotation)) if name not in FIXED else []
            waiting += inside
            if name not in FIXED and not inside:
                fields.add(name)
    assert len(fields) > 40
    assert fields - known == set(), "web/src/pages/scenes/field_words.ts has no words for them"


def _sections(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from _sections(inner)
