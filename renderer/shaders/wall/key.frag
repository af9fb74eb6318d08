#version 450
// A key inside a camera's frustum and its markers. Colours are nits / 100 of the canvas' own primaries, or codes.
// Defines: MESH, TRANSFER.

#include "wall/encode.glsl"

uniform vec4 edge;                // left, bottom, right, top tangents
uniform vec2 middle;              // of the frame: where markers in camera space are counted from
uniform float led_m;              // metres of wall per LED: markers on the wall; 0: markers in camera space
uniform int marker;               // 0 none, 1 crosses, 2 dots, 3 triangles, 4 grid
uniform vec3 marks;               // size, spacing, thickness of lines
uniform vec3 ink;
uniform vec3 marker_ink;
uniform vec2 code_step;           // codes of the canvas for one of 10 bits, highest code; 0: colours are light

noperspective in vec3 at;
noperspective in vec2 from_middle;
#if MESH
noperspective in float facing;
#endif

out vec4 colour;

// How far inside a marker of the lattice, negative outside.
float inside_marker(vec2 p) {
    vec2 q = p - marks.y * round(p / marks.y);
    vec2 a = abs(q);
    float half_size = 0.5 * marks.x, half_line = 0.5 * marks.z;
    if (marker == 1) return max(min(half_size - a.x, half_line - a.y), min(half_line - a.x, half_size - a.y));
    if (marker == 2) return half_size - length(q);
    if (marker == 3) return 0.5 * half_size - max(-q.y, 0.8660254 * a.x + 0.5 * q.y);
    return half_line - min(a.x, a.y);
}

void main() {
    vec2 t = at.xy / at.z;
    bool drawn = at.z > 0.0 && all(greaterThanEqual(t, edge.xy)) && all(lessThanEqual(t, edge.zw));
#if MESH
    drawn = drawn && facing > 0.0;
#endif
    float share = 0.0;
    if (marker != 0) {
        vec2 p = led_m > 0.0 ? from_middle * led_m : t - middle;
        float led = max(max(length(dFdx(p)), length(dFdy(p))), 1e-9);
        share = clamp(inside_marker(p) / led + 0.5, 0.0, 1.0);
    }
    if (!drawn) discard;
    vec3 shown = mix(ink, marker_ink, share);
    colour = code_step.x > 0.0 ? vec4(floor(shown * code_step.x + 1e-3) / code_step.y, 1.0) : encoded(shown);
}
