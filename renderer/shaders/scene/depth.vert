#version 450 core
// A shadow caster's vertices in the sun's own clip space. Instance rows hold relative_from_object.
uniform mat4 clip_from_relative;

in vec3 in_position;
#if ALPHA_MASK
in vec2 in_uv0;
out vec2 v_uv;
uniform vec3 uv_row0;
uniform vec3 uv_row1;
#endif
in vec4 in_row0;
in vec4 in_row1;
in vec4 in_row2;

void main() {
    vec4 p = vec4(in_position, 1.0);
    gl_Position = clip_from_relative * vec4(dot(in_row0, p), dot(in_row1, p), dot(in_row2, p), 1.0);
#if ALPHA_MASK
    v_uv = vec2(dot(uv_row0, vec3(in_uv0, 1.0)), dot(uv_row1, vec3(in_uv0, 1.0)));
#endif
}
