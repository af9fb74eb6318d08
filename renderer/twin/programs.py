"""The twin's shaders: read from the package, included, and linked."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import moderngl
from numpy.typing import NDArray


@cache
def shader_text(name: str) -> str:
    """One file of renderer/shaders/twin with its `//#include` lines filled in."""
    text = (files("renderer") / "shaders" / "twin" / name).read_text(encoding="utf-8")
    return text.replace("//#include lens", shader_text("lens.glsl")) if name != "lens.glsl" else text


def fragment_program(ctx: moderngl.Context, name: str, **defines: int) -> moderngl.Program:
    """A program that runs fragment shader `name` over a whole target."""
    text = shader_text(name)
    for key, value in defines.items():
        text = text.replace("#version 450 core", f"#version 450 core\n#define {key} {value}")
    return ctx.program(vertex_shader=shader_text("fullscreen.vert"), fragment_shader=text)


def set_uniforms(program: moderngl.Program, values: dict[str, Any]) -> None:
    """Give uniforms their values; one that the compiler found unused is passed over."""
    for name, value in values.items():
        member = program.get(name, None)
        if isinstance(member, moderngl.Uniform):
            member.value = value


def write_uniform(program: moderngl.Program, name: str, values: NDArray[Any]) -> None:
    """Give a uniform array its values as they lie in memory."""
    member = program[name]
    assert isinstance(member, moderngl.Uniform)
    member.write(values.tobytes())
