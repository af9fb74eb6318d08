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
#endif

out vec4 colour;

#if SHADOW
float sun_seen(vec3 n, float n_l) {
    // The lookup is moved off the surface, more where the sun grazes it: no surface shadows itself.
    vec3 p = (shadow_from_relative * vec4(v_relative + n * sun_light.w * (1.5 - n_l), 1.0)).xyz;
    vec3 inside = step(vec3(0.0), p) * step(p, vec3(1.0));
    if (inside.x * inside.y * inside.z == 0.0) return 1.0;
    float r = sun_direction.w * 0.75;
    return 0.25 * (texture(shadow_map, p + vec3(-r, -r, 0.0)) + texture(shadow_map, p + vec3(r, -r, 0.0))
                 + texture(shadow_map, p + vec3(-r, r, 0.0)) + texture(shadow_map, p + vec3(r, r, 0.0)));
}
#endif

vec3 lit(vec3 albedo, float metallic, float roughness, float occlusion, vec3 n, vec3 v) {
    float n_v = max(dot(n, v), 1e-4);
    vec3 f0 = mix(vec3(0.04), albedo, metallic);
    vec3 diffuse = albedo * (0.96 * (1.0 - metallic));

    vec3 irradiance = sh[0].rgb;
#if DOME_LIGHT
    irradiance += sh[1].rgb * n.y + sh[2].rgb * n.z + sh[3].rgb * n.x
        + sh[4].rgb * (n.x * n.y) + sh[5].rgb * (n.y * n.z) + sh[6].rgb * (3.0 * n.z * n.z - 1.0)
        + sh[7].rgb * (n.x * n.z) + sh[8].rgb * (n.x * n.x - n.y * n.y);
    irradiance = max(irradiance, vec3(0.0));
#endif
    // Split-sum environment term, after Karis' fit.
    vec4 r4 = roughness * vec4(-1.0, -0.0275, -0.572, 0.022) + vec4(1.0, 0.0425, 1.04, -0.04);
    float a004 = min(r4.x * r4.x, exp2(-9.28 * n_v)) * r4.x + r4.y;
    vec2 ab = vec2(-1.04, 1.04) * a004 + r4.zw;
#if REFLECTIONS
    vec3 r = reflect(-v, n);
    vec3 in_dome = vec3(r.x * dome_turn.x + r.y * dome_turn.y, r.y * dome_turn.x - r.x * dome_turn.y, r.z);
    const float L = float(ROUGHNESS_LEVELS);
    const float S = float(OCTAHEDRON_PX);
    vec3 at = vec3(0.5 + octahedron_from_direction(in_dome) * (0.5 * (S - 1.0) / S), (roughness * (L - 1.0) + 0.5) / L);
    vec3 reflected = textureLod(reflections, at, 0.0).rgb * dome_turn.z;
#else
    vec3 reflected = irradiance;
#endif
    // Light that bounces more than once in a rough surface comes back too (after Fdez-Aguera): white stays white.
    vec3 once = f0 * ab.x + ab.y;
    float lost = 1.0 - (ab.x + ab.y);
    vec3 mean = f0 + (1.0 - f0) * (1.0 / 21.0);
    vec3 more = once * mean / (1.0 - lost * mean) * lost;
    vec3 total = once + more;
    float kept = 1.0 - max(max(total.r, total.g), total.b);
    vec3 light = (reflected * once + irradiance * (more + albedo * ((1.0 - metallic) * kept))) * occlusion;

#if SUN
    float n_l = dot(n, sun_direction.xyz);
    if (n_l > 0.0) {
        vec3 h = normalize(v + sun_direction.xyz);
        float n_h = max(dot(n, h), 0.0);
        float v_h = max(dot(v, h), 0.0);
        float a = roughness * roughness;
        float a2 = a * a;
        float d = n_h * n_h * (a2 - 1.0) + 1.0;
        // D * V with Hammon's fit of the correlated Smith term; sun_light is already over pi.
        float spec = a2 / (d * d) * 0.5 / mix(2.0 * n_l * n_v, n_l + n_v, a);
        float f = exp2((-5.55473 * v_h - 6.98316) * v_h);
        float seen = n_l;
#if SHADOW
        seen *= sun_seen(n, n_l);
#endif
        light += sun_light.rgb * seen * (diffuse + spec * (f0 + (1.0 - f0) * f));
    }
#endif
    return light;
}

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
    vec3 emitted = material.emissive.rgb;
#ifdef EMISSIVE_UV
    emitted *= texture(emissive_texture, v_uv[EMISSIVE_UV]).rgb;
#endif
    vec3 albedo = WORKING * base.rgb;
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
    vec3 light = lit(albedo, metallic, roughness, occlusion, n, v);
#endif
    light += WORKING * emitted;
#if HAZE
    light = mix(haze.rgb, light, exp(-haze.w * length(v_relative)));
#endif
    light = min(max(light * background.w, vec3(0.0)), vec3(BRIGHTEST));
#if ALPHA_BLEND
    colour = vec4(light, base.a);
#else
    colour = vec4(light, 1.0);
#endif
#endif
}
