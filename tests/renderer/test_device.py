"""The GPU device: creation and its clear refusal, waits that free Python's lock, exact reads."""

from __future__ import annotations

import resource
import threading
import time

import numpy as np
import pytest

from renderer import device as device_module
from renderer.device import Device, NoGLError, ReadSizeError, unpack_10bit


def test_device_says_what_it_is(gl: Device) -> None:
    assert gl.ctx.version_code >= 450
    assert gl.capabilities.renderer
    assert gl.capabilities.max_texture_px >= 8192
    assert gl.capabilities.software == ("llvmpipe" in gl.capabilities.renderer)


def test_missing_gl_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise Exception("libEGL.so not loaded")  # the very type glcontext raises

    monkeypatch.setattr(device_module.moderngl, "create_context", fail)
    with pytest.raises(NoGLError) as caught:
        Device.create()
    (problem,) = caught.value.problems
    assert problem.code == "renderer.no_gl"
    assert "libEGL.so not loaded" in problem.detail
    assert "libegl1 libgl1" in problem.mend


def test_float_read_returns_what_was_drawn(gl: Device) -> None:
    target = gl.ctx.framebuffer([gl.ctx.texture((5, 3), 4, dtype="f4")])
    target.clear(0.25, -2.0, 1e5, 1.0)
    picture = gl.read(target, dtype="f4")
    assert picture.shape == (3, 5, 4)
    assert np.array_equal(picture, np.broadcast_to(np.float32([0.25, -2.0, 1e5, 1.0]), (3, 5, 4)))


def test_ten_bit_codes_are_read_exactly(gl: Device) -> None:
    codes = np.arange(1024, dtype=np.float32).reshape(4, 256)
    source = gl.ctx.texture((256, 4), 1, codes.tobytes(), dtype="f4")
    program = gl.ctx.program(
        vertex_shader="#version 450\nvoid main(){gl_Position=vec4(vec2(gl_VertexID%2,gl_VertexID/2)*4.0-1.0,0,1);}",
        fragment_shader="""#version 450
        uniform sampler2D codes; out vec4 colour;
        void main(){ float c = texelFetch(codes, ivec2(gl_FragCoord.xy), 0).r;
          colour = vec4(c, 1023.0 - c, mod(c * 7.0, 1024.0), 1023.0) / 1023.0; }""",
    )
    target = gl.ctx.framebuffer([gl.ctx.texture((256, 4), 4, internal_format=0x8059)])
    target.use()
    source.use(0)
    vertices = gl.ctx.vertex_array(program, [])
    vertices.render(vertices=3)
    got = unpack_10bit(gl.read_10bit(target)).astype(int)
    want = codes.astype(int)
    assert np.array_equal(got[..., 0], want)
    assert np.array_equal(got[..., 1], 1023 - want)
    assert np.array_equal(got[..., 2], want * 7 % 1024)
    for thing in (vertices, program, source, target):
        thing.release()


def test_wrong_buffer_size_is_refused(gl: Device) -> None:
    target = gl.ctx.framebuffer([gl.ctx.texture((4, 4), 4)])
    with pytest.raises(ReadSizeError):
        gl.read_into(target, bytearray(63))
    with pytest.raises(ReadSizeError):
        gl.read_10bit_into(target, bytearray(65))


@pytest.mark.timing
def test_waiting_for_the_gpu_leaves_python_free(gl: Device) -> None:
    """While one thread waits for a long draw, another keeps running: the longest gap is far below the wait."""
    program = gl.ctx.program(
        vertex_shader="#version 450\nvoid main(){gl_Position=vec4(vec2(gl_VertexID%2,gl_VertexID/2)*4.0-1.0,0,1);}",
        fragment_shader="""#version 450
        out vec4 colour; uniform int steps;
        void main(){ float a = gl_FragCoord.x; for (int i = 0; i < steps; ++i) a = sin(a) + 1.0;
          colour = vec4(a); }""",
    )
    target = gl.ctx.framebuffer([gl.ctx.texture((640, 360), 4, dtype="f4")])
    vertices = gl.ctx.vertex_array(program, [])
    target.use()
    steps = 50
    waited, gap = 0.0, 0.0
    while waited < 0.25 and steps < 100_000:
        program["steps"] = steps
        stamps: list[float] = []
        stop = threading.Event()

        def beat(stamps: list[float] = stamps, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                stamps.append(time.perf_counter())
                time.sleep(0.001)

        vertices.render(vertices=3)
        thread = threading.Thread(target=beat)
        thread.start()
        begin = time.perf_counter()
        gl.finish()
        waited = time.perf_counter() - begin
        stop.set()
        thread.join()
        gap = float(np.max(np.diff(stamps))) if len(stamps) > 2 else 1.0
        steps *= 2
    assert waited >= 0.25
    assert gap < 0.5 * waited


def test_software_gl_keeps_its_memory_between_pictures(gl: Device) -> None:
    """Once warm, a picture of many triangles takes no new pages from the system."""
    if not gl.capabilities.software:
        pytest.skip("a GPU holds its own memory")
    triangles = 60_000
    corners = np.random.default_rng(1).uniform(-1, 1, (triangles, 3, 2)).astype(np.float32)
    corners[:, 1:] = corners[:, :1] + 0.01 * corners[:, 1:]
    program = gl.ctx.program(
        vertex_shader="#version 450\nin vec2 at; void main(){ gl_Position = vec4(at, 0.0, 1.0); }",
        fragment_shader="#version 450\nout vec4 colour; void main(){ colour = vec4(1.0); }",
    )
    vertices = gl.ctx.vertex_array(program, [(gl.ctx.buffer(corners.tobytes()), "2f", "at")])
    target = gl.ctx.framebuffer([gl.ctx.texture((320, 180), 4)])
    target.use()

    def draw() -> None:
        vertices.render()
        gl.finish()

    for _ in range(8):
        draw()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        draw()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 500
