#version 450 core
// A lit surface: metallic-roughness GGX under the dome, the ambient and one sun.
#include "scene/view.glsl"
#include "scene/material.glsl"
#include "scene/octahedron.glsl"
#include "scene/angle.glsl"
#include "scene/fringe.glsl"

in vec3 v_relative;
in vec3 v_normal;
#if TANGENTS
in vec4 v_tangent;
#endif
#if COLOURS
in vec4 v_colour;
#endif
#if UV_COUNT > 0
in vec2 v_uv[UV_COUNT];
#endif

#ifdef BASE_UV
layout(binding = 0) uniform sampler2D base_texture;
#endif
#ifdef ROUGH_UV
layout(binding = 1) uniform sampler2D metallic_roughness_texture;
#endif
#ifdef NORMAL_UV
layout(binding = 2) uniform sampler2D normal_texture;
#endif
#ifdef OCCLUSION_UV
layout(binding = 3) uniform sampler2D occlusion_texture;
#endif
#ifdef EMISSIVE_UV
layout(binding = 4) uniform sampler2D emissive_texture;
#endif
#if REFLECTIONS
layout(binding = 5) uniform sampler3D reflections;
#endif
#if SHADOW
layout(binding = 6) uniform sampler2DShadow shadow_map;
#if MOVING_SHADOW
layout(binding = 8) uniform sampler2DShadow moving_map;
#endif
in vec3 v_shadow;
#endif

out vec4 colour;

#if SHADOW
float sun_seen() {
    vec3 inside = step(vec3(0.0), v_shadow) * step(v_shadow, vec3(1.0));
    float seen = 1.0;
    if (inside.x * inside.y * inside.z != 0.0) {
#if SHADOW_TAPS == 1
        seen = texture(shadow_map, v_shadow);
#else
        float r = sun_direction.w * 0.75;
        seen = 0.25 * (texture(shadow_map, v_shadow + vec3(-r, -r, 0.0)) + texture(shadow_map, v_shadow + vec3(r, -r, 0.0))
            + texture(shadow_map, v_shadow + vec3(-r, r, 0.0)) + texture(shadow_map, v_shadow + vec3(r, r, 0.0)));
#endif
    }
#if MOVING_SHADOW
    // Its rim is empty: beyond it, the clamped lookup finds nothing in the way.
    seen *= texture(moving_map, v_shadow * moving_scale.xyz + moving_offset.xyz);
#endif
    return seen;
}
#endif

#include "scene/lit.glsl"

void main() {
    vec4 base = material.base;
#ifdef BASE_UV
    base *= texture(base_texture, v_uv[BASE_UV]);
#endif
#if COLOURS
    base *= v_colour;
#endif
#if ALPHA_MASK
    if (base.a < material.emissive.w) discard;
#endif
#if OUTPUT == OUTPUT_POSITION
    colour = vec4((stage_from_relative * vec4(v_relative, 1.0)).xyz, 1.0);
#elif OUTPUT == OUTPUT_FRINGES
    colour = vec4(vec3(fringe_of_position((stage_from_relative * vec4(v_relative, 1.0)).xyz)), 1.0);
#else
#if defined(BASE_UV) || COLOURS
    vec3 albedo = WORKING * base.rgb;
#else
    vec3 albedo = base.rgb;
#endif
#if UNLIT
    vec3 light = albedo;
#else
    float to_eye = length(v_relative);
    vec3 v = -v_relative / to_eye;
    vec3 n = normalize(v_normal);
    // A curved surface seen from afar spreads its highlight over a pixel: widened, it does not sparkle.
    vec3 bend = max(abs(dFdx(n)), abs(dFdy(n)));
#if DOUBLE_SIDED
    n = gl_FrontFacing ? n : -n;
#endif
#ifdef NORMAL_UV
    vec3 bump = texture(normal_texture, v_uv[NORMAL_UV]).xyz * 2.0 - 1.0;
    bump.xy *= material.factors.z;
    vec3 t = normalize(v_tangent.xyz);
#if DOUBLE_SIDED
    t = gl_FrontFacing ? t : -t;
#endif
    vec3 b = cross(n, t) * v_tangent.w;
    n = normalize(t * bump.x + b * bump.y + n * bump.z);
#endif
    float metallic = material.factors.x;
    float roughness = material.factors.y;
    float occlusion = 1.0;
#ifdef ROUGH_UV
    vec4 orm = texture(metallic_roughness_texture, v_uv[ROUGH_UV]);
    metallic *= orm.b;
    roughness *= orm.g;
#endif
#if defined(OCCLUSION_UV)
    occlusion = 1.0 + material.factors.w * (texture(occlusion_texture, v_uv[OCCLUSION_UV]).r - 1.0);
#elif OCCLUSION_IN_ROUGH
    occlusion = 1.0 + material.factors.w * (orm.r - 1.0);
#endif
    roughness = clamp(max(roughness, 0.0525) + max(max(bend.x, bend.y), bend.z), 0.0525, 1.0);
    vec3 light = lit(surface(albedo, metallic, roughness, occlusion, n, v));
#endif
#ifdef EMISSIVE_UV
    light += WORKING * (material.emissive.rgb * texture(emissive_texture, v_uv[EMISSIVE_UV]).rgb);
#elif EMISSIVE
    light += material.emissive.rgb;
#endif
#if HAZE
    light = mix(haze.rgb, light, exp(-haze.w * length(v_relative)));
#endif
    light = min(light * background.w, vec3(BRIGHTEST));
#if ALPHA_BLEND
    colour = vec4(light, base.a);
#else
    colour = vec4(light, 1.0);
#endif
#endif
}
