#version 450
// A canvas mesh for line-up and test patterns: wall raster, tile, and the direction from one point of the stage.
// Defines: MESH.

uniform vec2 canvas_px;
uniform vec3 point_offset;        // origin of the positions - the point looked from
uniform mat3 point_view;          // rows: right, up, forward (eye card: stage axes)

in vec3 position;
in vec2 pixel;
in vec2 wall_px;
in vec4 tile_px;
in float label;
in vec2 wall_size;
noperspective out vec3 at;
noperspective out vec2 wall_at;
flat out vec4 tile;
flat out float number;
flat out vec2 wall_extent;
#if MESH
in vec3 normal;
in vec4 clip;
noperspective out float facing;
out float gl_ClipDistance[4];
#endif

void main() {
    at = point_view * (position + point_offset);
    wall_at = wall_px;
    tile = tile_px;
    number = label;
    wall_extent = wall_size;
#if MESH
    facing = -dot(normal, position + point_offset);
    gl_ClipDistance[0] = pixel.x - clip.x;
    gl_ClipDistance[1] = pixel.y - clip.y;
    gl_ClipDistance[2] = clip.z - pixel.x;
    gl_ClipDistance[3] = clip.w - pixel.y;
#endif
    gl_Position = vec4(pixel / canvas_px * 2.0 - 1.0, 0.0, 1.0);
}
