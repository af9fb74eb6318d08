#version 450 core
// The radius in texels by which the wall must blur each texel (see stage/focus.py), and the light that is blurred at all:
// what stays sharp is left out, so that its coarser copies lend nothing to the discs.
#include "focus/lens.glsl"

layout(binding = 0) uniform sampler2D picture;
layout(binding = 1) uniform sampler2D depth;
layout(binding = 2) uniform sampler2D wall;
in vec2 place;
layout(location = 0) out vec4 soft;
layout(location = 1) out float radius;

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    float content = nearness_of(textureLod(depth, gl_FragCoord.xy / vec2(textureSize(picture, 0)), 0.0).r);
    float glass = textureLod(wall, 0.5 + 0.5 * place, 0.0).r;
    vec2 disc = aperture * abs(vec2(content, glass) - in_focus);
    float added = sqrt(max(0.0, disc.x * disc.x - disc.y * disc.y));
    radius = min(0.5 * added * texels_per_tangent, most_px);
    soft = radius < 0.5 ? vec4(0.0) : vec4(texelFetch(picture, at, 0).rgb, 1.0);
}
