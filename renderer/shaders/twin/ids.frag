#version 450 core
// Which surface stands foremost; 0 where there is none. A mesh triangle counts inside its own tile only: another tile
// may hold the same triangle.
uniform usampler2D tile_size;
in vec2 tile_px;
flat in uint surface;
out uint id;
void main() {
    vec2 size = vec2(texelFetch(tile_size, ivec2(int(surface) & 1023, int(surface) >> 10), 0).xy);
    if (any(lessThan(tile_px, vec2(0.0))) || any(greaterThan(tile_px, size))) discard;
    id = surface + 1u;
}
