#version 450 core
// The widest radius in each tile of TILE texels.
layout(binding = 0) uniform sampler2D radius;
out float widest;

void main() {
    ivec2 first = ivec2(gl_FragCoord.xy) * TILE;
    ivec2 last = textureSize(radius, 0) - 1;
    widest = 0.0;
    for (int y = 0; y < TILE; ++y)
        for (int x = 0; x < TILE; ++x)
            widest = max(widest, texelFetch(radius, min(first + ivec2(x, y), last), 0).r);
}
