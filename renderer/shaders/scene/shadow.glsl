// How much of the sun a place sees: cascades round the stage from fine to coarse, and one map of what moves. Needs
// `v_shadow` (the place in the coarsest map, 0..1) and `v_shadow_off` (the way off the surface there, a metre long).
layout(binding = 6) uniform sampler2DShadow shadow_map;
#if MOVING_SHADOW
layout(binding = 8) uniform sampler2DShadow moving_map;
#endif
// Per cascade, and last the moving map: offset x, y, scale, metres to move off a surface.
layout(std140, binding = 2) uniform SunShadow {
    vec4 shadow_place[SHADOW_CASCADES_MOST + 1];
};

float shadow_taps(sampler2DShadow map, vec3 at, vec2 texel) {
#if SHADOW_TAPS == 1
    return texture(map, at);
#else
    float seen = 0.0;
    for (int y = -1; y <= 1; ++y)
        for (int x = -1; x <= 1; ++x)
            seen += texture(map, at + vec3(vec2(x, y) * texel, 0.0));
    return seen * (1.0 / 9.0);
#endif
}

vec3 shadow_at(vec4 place) {
    vec3 at = v_shadow + v_shadow_off * place.w;
    return vec3(at.xy * place.z + place.xy, at.z);
}

float sun_seen() {
    float texel = sun_direction.w;
    float left = 1.0;
    float seen = 0.0;
    for (int i = 0; i < SHADOW_CASCADES; ++i) {
        vec3 at = shadow_at(shadow_place[i]);
        vec2 aside = abs(at.xy - 0.5);
        // 1 well inside, 0 at the rim: each cascade gives way to the next, the coarsest to the sun.
        float inside = clamp((0.5 - SHADOW_MARGIN * texel - max(aside.x, aside.y)) * (2.0 / SHADOW_EDGE), 0.0, 1.0) * left;
        if (inside > 0.0) {
#if SHADOW_CASCADES == 1
            seen += inside * shadow_taps(shadow_map, at, vec2(texel));
#else
            vec2 tiles = 1.0 / vec2(2.0, float((SHADOW_CASCADES + 1) / 2));
            seen += inside * shadow_taps(shadow_map, vec3((at.xy + vec2(i % 2, i / 2)) * tiles, at.z), texel * tiles);
#endif
            left -= inside;
        }
    }
    seen += left;
#if MOVING_SHADOW
    // Its rim is empty: beyond it, the clamped lookup finds nothing in the way.
    seen *= shadow_taps(moving_map, shadow_at(shadow_place[SHADOW_CASCADES_MOST]), vec2(sun_light.w));
#endif
    return seen;
}
