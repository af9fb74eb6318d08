#version 450
// A canvas mesh in canvas space. Everything a fragment needs is linear over a triangle here, so it is worked out at
// the corners: the position as seen from the point of the base picture and from each pupil (right, up, forward).
// Defines: INNERS, MESH, CARDS.

uniform vec2 canvas_px;
uniform vec3 base_offset;         // origin of the positions - the point the base picture was drawn from
uniform mat3 base_view;           // rows: right, up, forward of the base picture
#if INNERS > 0
uniform vec3 inner_offset[INNERS];
uniform mat3 inner_view[INNERS];
#endif

in vec3 position;
in vec2 pixel;
noperspective out vec3 base_at;
#if INNERS > 0
noperspective out vec3 inner_at[INNERS];
#endif

#if CARDS
noperspective out vec3 stage_at;
#endif

#if MESH
in vec3 normal;
in vec4 clip;
out float gl_ClipDistance[4];
#if INNERS > 0
noperspective out float facing[INNERS];
#endif
#endif

void main() {
    base_at = base_view * (position + base_offset);
#if CARDS
    stage_at = position;
#endif
#if INNERS > 0
    for (int i = 0; i < INNERS; ++i) {
        inner_at[i] = inner_view[i] * (position + inner_offset[i]);
    }
#endif
#if MESH
#if INNERS > 0
    for (int i = 0; i < INNERS; ++i) {
        facing[i] = -dot(normal, position + inner_offset[i]);
    }
#endif
    gl_ClipDistance[0] = pixel.x - clip.x;
    gl_ClipDistance[1] = pixel.y - clip.y;
    gl_ClipDistance[2] = clip.z - pixel.x;
    gl_ClipDistance[3] = clip.w - pixel.y;
#endif
    // GL row 0 is memory row 0 is the top: canvas y is not turned over.
    gl_Position = vec4(pixel / canvas_px * 2.0 - 1.0, 0.0, 1.0);
}
