#version 450 core
// A surface's vertices, placed relative to the eye. Instance rows hold relative_from_object.
#include "scene/view.glsl"
#include "scene/material.glsl"

in vec3 in_position;
in vec3 in_normal;
#if TANGENTS
in vec4 in_tangent;
out vec4 v_tangent;
#endif
#if COLOURS
in vec4 in_colour;
out vec4 v_colour;
#endif
#if UV_COUNT > 0
in vec2 in_uv0;
#if UV1
in vec2 in_uv1;
#endif
out vec2 v_uv[UV_COUNT];
#endif
in vec4 in_row0;
in vec4 in_row1;
in vec4 in_row2;

#if VOLUME
out float v_thickness_scale;
#endif
out vec3 v_relative;
out vec3 v_normal;
#if SHADOW
out vec4 v_shadow;
#endif

void main() {
    vec4 p = vec4(in_position, 1.0);
    v_relative = vec3(dot(in_row0, p), dot(in_row1, p), dot(in_row2, p));
    gl_Position = clip_from_relative * vec4(v_relative, 1.0);
    // Normals go by the cofactors, right for any scale; a mirrored object turns its handedness.
    vec3 c0 = vec3(in_row0.x, in_row1.x, in_row2.x);
    vec3 c1 = vec3(in_row0.y, in_row1.y, in_row2.y);
    vec3 c2 = vec3(in_row0.z, in_row1.z, in_row2.z);
    vec3 k0 = cross(c1, c2);
    float hand = dot(c0, k0) < 0.0 ? -1.0 : 1.0;
    v_normal = hand * (k0 * in_normal.x + cross(c2, c0) * in_normal.y + cross(c0, c1) * in_normal.z);
#if VOLUME
    // A thickness is in the mesh's own metres.
    v_thickness_scale = pow(abs(dot(c0, k0)), 1.0 / 3.0);
#endif
#if SHADOW
    // Looked up nearer to the sun by what a texel's width is deep, more where the sun grazes: no surface shadows itself.
    float n_l = abs(dot(normalize(v_normal), sun_direction.xyz));
    v_shadow.xyz = (shadow_from_relative * vec4(v_relative, 1.0)).xyz;
    v_shadow.w = 0.5 + SHADOW_SLOPE * min(sqrt(1.0 - n_l * n_l) / n_l, 8.0);
#endif
#if TANGENTS
    v_tangent = vec4(c0 * in_tangent.x + c1 * in_tangent.y + c2 * in_tangent.z, in_tangent.w * hand);
#endif
#if COLOURS
    v_colour = in_colour;
#endif
#if UV_COUNT > 0
    for (int i = 0; i < UV_COUNT; ++i) {
#if UV1
        vec2 uv = material.uv_rows[2 * i].w > 0.5 ? in_uv1 : in_uv0;
#else
        vec2 uv = in_uv0;
#endif
        v_uv[i] = vec2(dot(material.uv_rows[2 * i].xyz, vec3(uv, 1.0)), dot(material.uv_rows[2 * i + 1].xyz, vec3(uv, 1.0)));
    }
#endif
}
