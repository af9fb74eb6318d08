// Light from a metallic-roughness surface under the dome or ambient and one sun (GGX). Needs `sh`, `sun_direction`,
// `sun_light` and, with REFLECTIONS, `dome_turn` and the map; with SHADOW, `sun_seen`.
// A rough dielectric (MATT) mirrors so little, and so blurred, that the light it stands in serves as its mirror image.
// A surface that is no metal anywhere (DIELECTRIC) mirrors all colours alike: its terms are single numbers.
#ifndef MATT
#define MATT 0
#endif
#if DIELECTRIC
#define MIRRORED float
#define LARGEST(v) v
#else
#define MIRRORED vec3
#define LARGEST(v) max(max(v.r, v.g), v.b)
#endif

vec3 lit(vec3 albedo, float metallic, float roughness, float occlusion, vec3 n, vec3 v) {
    float n_v = max(dot(n, v), 1e-4);
#if DIELECTRIC
    const float f0 = 0.04;
    vec3 diffuse = albedo;
#else
    vec3 f0 = mix(vec3(0.04), albedo, metallic);
    vec3 diffuse = albedo * (1.0 - metallic);
#endif

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
#if REFLECTIONS && !MATT
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
    MIRRORED once = f0 * ab.x + ab.y;
    float lost = 1.0 - (ab.x + ab.y);
    MIRRORED mean = f0 + (1.0 - f0) * (1.0 / 21.0);
    MIRRORED more = once * mean / (1.0 - lost * mean) * lost;
    float kept = 1.0 - LARGEST((once + more));
    vec3 light = (reflected * once + irradiance * (more + diffuse * kept)) * occlusion;

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
        float spec = a2 * 0.5 / (d * d * mix(2.0 * n_l * n_v, n_l + n_v, a));
        float f = exp2((-5.55473 * v_h - 6.98316) * v_h);
        float seen = n_l;
#if SHADOW
        seen *= sun_seen();
#endif
        light += sun_light.rgb * seen * (diffuse * 0.96 + spec * (f0 + (1.0 - f0) * f));
    }
#endif
    return light;
}
