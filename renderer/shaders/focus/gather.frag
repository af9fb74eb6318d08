#version 450 core
// Every texel gives its light to the disc of its own radius, and what lies behind a thing gives none to the thing.
// A texel reads up to TAPS places about it. Only discs as wide as a place is far reach from there: places lie the closer the
// nearer, and each stands for an area as wide as they lie apart.
#include "focus/lens.glsl"

layout(binding = 0) uniform sampler2D picture;
layout(binding = 1) uniform sampler2D depth;
layout(binding = 2) uniform sampler2D reach;
layout(binding = 3) uniform sampler2D soft;
layout(binding = 4) uniform sampler2D radius;
out vec4 colour;

const float PI = 3.14159265358979;

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    vec3 here = texelFetch(picture, at, 0).rgb;
    float far = texelFetch(reach, at / TILE, 0).r;
    if (far < 0.5) {
        colour = vec4(here, 1.0);
        return;
    }
    vec2 size = vec2(textureSize(picture, 0));
    float own_radius = texelFetch(radius, at, 0).r;
    float own = nearness_of(textureLod(depth, gl_FragCoord.xy / vec2(textureSize(picture, 0)), 0.0).r);
    vec3 sum = vec3(0.0), hidden = vec3(0.0);
    float covered = 0.0, seen_behind = 0.0;
    // Small discs need few places.
    float rim = far + 0.5;
    int taps = min(TAPS, 16 + int(2.0 * far));
    for (int i = 0; i < taps; ++i) {
        float off = rim * (float(i) + 0.5) / float(taps);
        float area = 2.0 * off * rim / float(taps);
        float turn = 2.39996323 * float(i);
        vec2 uv = (gl_FragCoord.xy + off * squash * vec2(cos(turn), sin(turn))) / size;
        float wide = textureLod(radius, uv, 0.0).r;
        bool behind = nearness_of(textureLod(depth, uv, 0.0).r) < own * 0.98;
        float disc = behind ? min(wide, own_radius) : wide;
        // Its light is spread over its disc; a disc's rim is a texel wide.
        float share = clamp(disc - off + 0.5, 0.0, 1.0) * step(0.5, disc) * area / max(disc * disc, 0.25);
        if (share > 0.0) {
            vec4 there = textureLod(soft, uv, max(0.0, 0.5 * log2(PI * area) - 1.0));
            if (there.a > 0.0) {
                sum += there.rgb * (share / there.a);
                covered += share;
            }
        }
        if (behind && off < own_radius) {
            hidden += textureLod(picture, uv, 0.0).rgb * area;
            seen_behind += area;
        }
    }
    // Where discs leave room, what is behind shows through: for a blurred thing, what is seen beside it.
    float rest = max(0.0, 1.0 - covered);
    vec3 back = own_radius >= 0.5 && seen_behind > 0.0 ? hidden / seen_behind : here;
    colour = vec4((sum + back * rest) / (covered + rest), 1.0);
}
