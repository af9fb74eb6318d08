#version 450 core
// The widest radius whose disc may reach into each tile, along one axis at a time.
layout(binding = 0) uniform sampler2D widest;
uniform ivec2 axis;
uniform int tiles;
out float reach;

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    ivec2 last = textureSize(widest, 0) - 1;
    reach = 0.0;
    for (int i = -tiles; i <= tiles; ++i) {
        float radius = texelFetch(widest, clamp(at + axis * i, ivec2(0), last), 0).r;
        reach = max(reach, radius > float((abs(i) - 1) * TILE) ? radius : 0.0);
    }
}
