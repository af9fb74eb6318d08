#version 450 core
// A lit surface: metallic-roughness GGX under the dome, the ambient and one sun.
#include "scene/view.glsl"
#include "scene/material.glsl"
#include "scene/octahedron.glsl"
#include "scene/angle.glsl"
#include "scene/fringe.glsl"
#include "scene/air.glsl"

in vec3 v_relative;
in vec3 v_normal;
#if VOLUME
in float v_thickness_scale;
#endif
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
#ifdef COAT_UV
layout(binding = 16) uniform sampler2D coat_texture;
#endif
#ifdef COAT_ROUGH_UV
layout(binding = 17) uniform sampler2D coat_rough_texture;
#endif
#ifdef COAT_NORMAL_UV
layout(binding = 18) uniform sampler2D coat_normal_texture;
#endif
#ifdef SHEEN_UV
layout(binding = 19) uniform sampler2D sheen_texture;
#endif
#ifdef SHEEN_ROUGH_UV
layout(binding = 20) uniform sampler2D sheen_rough_texture;
#endif
#ifdef SPECULAR_UV
layout(binding = 21) uniform sampler2D specular_texture;
#endif
#ifdef SPECULAR_COLOUR_UV
layout(binding = 22) uniform sampler2D specular_colour_texture;
#endif
#ifdef GLASS_UV
layout(binding = 23) uniform sampler2D glass_texture;
#endif
#ifdef THICKNESS_UV
layout(binding = 24) uniform sampler2D thickness_texture;
#endif
#if REFLECTIONS
layout(binding = 5) uniform sampler3D reflections;
#endif
#if SHADOW
in vec4 v_shadow;
#endif

#if ALPHA_BLEND
// Blended surfaces say what they add and what they leave of each colour behind them.
layout(location = 0, index = 0) out vec4 colour;
layout(location = 0, index = 1) out vec4 left;
#else
out vec4 colour;
#endif

#if SHADOW
#include "scene/shadow.glsl"
#endif

#include "scene/lit.glsl"
#include "scene/layers.glsl"

void main() {
    vec4 base = material.base;
#ifdef BASE_UV
    base *= texture(base_texture, v_uv[BASE_UV]);
#endif
#if COLOURS
    base *= v_colour;
#endif
#if ALPHA_MASK
#if COVERAGE
    // The cut is made a pixel wide, and covers so many samples.
    base.a = (base.a - material.emissive.w) / max(fwidth(base.a), 1e-4) + 0.5;
    if (base.a <= 0.0) discard;
#else
    if (base.a < material.emissive.w) discard;
#endif
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
#if OCCLUSION
    vec3 smooth_n = n;
#endif
#if TANGENTS
    vec3 t = normalize(v_tangent.xyz);
#if DOUBLE_SIDED
    t = gl_FrontFacing ? t : -t;
#endif
    vec3 b = cross(n, t) * v_tangent.w;
#endif
#if COAT
    vec3 coat_n = n;
#ifdef COAT_NORMAL_UV
    coat_n = bent(texture(coat_normal_texture, v_uv[COAT_NORMAL_UV]).xyz, material.coat.z, t, b, n);
#endif
#endif
#ifdef NORMAL_UV
    vec3 bump = texture(normal_texture, v_uv[NORMAL_UV]).xyz;
    float bumps = roughness_of_bumps(bump, material.factors.z);
    n = bent(bump, material.factors.z, t, b, n);
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
#ifdef NORMAL_UV
    if (bumps > 0.0) roughness = min(1.0, sqrt(sqrt(roughness * roughness * roughness * roughness + bumps)));
#endif
#if OCCLUSION
    occlusion *= sky_seen(v_relative, smooth_n);
#endif
    Surface s = surface(albedo, metallic, roughness, occlusion, n, v);
#if SPECULAR
    add_specular(s, albedo, metallic);
#endif
#if GLASS
    add_glass(s);
#endif
#if SHEEN
    add_sheen(s);
#endif
#if COAT
    add_coat(s, coat_n, max(max(bend.x, bend.y), bend.z));
#endif
    vec3 light = lit(s);
#endif
#if EMISSIVE
#ifdef EMISSIVE_UV
    vec3 emitted = WORKING * (material.emissive.rgb * texture(emissive_texture, v_uv[EMISSIVE_UV]).rgb);
#else
    vec3 emitted = material.emissive.rgb;
#endif
#if COAT
    emitted *= s.coat_passes;
#endif
    light += emitted;
#endif
#if GLASS
    vec3 passing;
    light += through_glass(s, passing);
#endif
#if FOG
    float far = length(v_relative);
    light = through_fog(light, v_relative / far, far);
#endif
    light = min(light * background.w, vec3(BRIGHTEST));
#if GLASS && !UNLIT
    colour = vec4(light * base.a, base.a);
    left = vec4(mix(vec3(1.0), passing, base.a), 1.0 - base.a);
#elif COVERAGE && ALPHA_MASK
    colour = vec4(light, min(base.a, 1.0));
#elif ALPHA_BLEND
    colour = vec4(light * base.a, base.a);
    left = vec4(1.0 - base.a);
#else
    colour = vec4(light, 1.0);
#endif
#endif
}
