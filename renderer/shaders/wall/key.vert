#version 450
// A canvas mesh for keys: where each LED is as a camera sees it, and on its wall.
// Defines: MESH.

uniform vec2 canvas_px;
uniform vec3 point_offset;        // origin of the positions - the camera's pupil
uniform mat3 point_view;          // rows: right, up, forward of the camera

in vec3 position;
in vec2 pixel;
in vec2 wall_px;
in vec2 wall_size;
noperspective out vec3 at;
noperspective out vec2 from_middle;   // of the wall, in its LEDs, y up
#if MESH
in vec3 normal;
in vec4 clip;
noperspective out float facing;
out float gl_ClipDistance[4];
#endif

void main() {
    at = point_view * (position + point_offset);
    from_middle = (wall_px - 0.5 * wall_size) * vec2(1.0, -1.0);
#if MESH
    facing = -dot(normal, position + point_offset);
    gl_ClipDistance[0] = pixel.x - clip.x;
    gl_ClipDistance[1] = pixel.y - clip.y;
    gl_ClipDistance[2] = clip.z - pixel.x;
    gl_ClipDistance[3] = clip.w - pixel.y;
#endif
    gl_Position = vec4(pixel / canvas_px * 2.0 - 1.0, 0.0, 1.0);
}
