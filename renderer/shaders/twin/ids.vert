#version 450 core
// Surfaces seen from the pupil, in camera axes (x right, y forward, z up), memory row 0 on top.
uniform vec4 bounds;     // tangents left, right, bottom, top
uniform vec2 near_far;   // metres
in vec3 in_position;
in vec2 in_tile_px;
in uint in_surface;
out vec2 tile_px;
flat out uint surface;
void main() {
    vec3 p = in_position;
    float n = near_far.x, f = near_far.y;
    gl_Position = vec4(
        (2.0 * p.x - (bounds.y + bounds.x) * p.y) / (bounds.y - bounds.x),
        -(2.0 * p.z - (bounds.w + bounds.z) * p.y) / (bounds.w - bounds.z),
        ((f + n) * p.y - 2.0 * f * n) / (f - n),
        p.y);
    tile_px = in_tile_px;
    surface = in_surface;
}
