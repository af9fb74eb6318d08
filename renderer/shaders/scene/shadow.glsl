// How much of the sun a place sees: cascades round the stage from fine to coarse, and one map of what moves. Needs
// `v_shadow`: the place in the coarsest map, 0..1; w: how much nearer to the sun it is looked up, times the texel.
layout(binding = 6) uniform sampler2DShadow shadow_map;
#if MOVING_SHADOW
layout(binding = 8) uniform sampler2DShadow moving_map;
#endif
layout(std140, binding = 2) uniform SunShadow {
    // Per cascade, and last the moving map: offset x, y and scale to its tile, depth of a texel's width.
    vec4 shadow_place[SHADOW_CASCADES_MOST + 1];
    // Per cascade: how far from the middle (in the coarsest map) it ends, 1 / the width of its rim.
    vec4 shadow_rim[SHADOW_CASCADES_MOST];
    vec4 shadow_middle;     // of the finest cascade, in the coarsest
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
    return vec3(v_shadow.xy * place.z + place.xy, v_shadow.z - v_shadow.w * place.w);
}

float sun_seen() {
#if SHADOW_CASCADES == 1
    vec3 at = shadow_at(shadow_place[0]);
    vec2 aside = abs(v_shadow.xy - shadow_middle.xy);
    float inside = clamp((shadow_rim[0].x - max(aside.x, aside.y)) * shadow_rim[0].y, 0.0, 1.0);
    float seen = 1.0 - inside + inside * shadow_taps(shadow_map, at, vec2(sun_direction.w));
#else
    // The finest cascade that holds the place, then coarser ones while there is something left to them: each gives way
    // to the next at its rim, the coarsest to the sun. Software GL never skips what an `if` holds, and runs a loop that
    // asks at its start once more than needed.
    vec2 aside = abs(v_shadow.xy - shadow_middle.xy);
    float far = max(aside.x, aside.y);
    float left = 1.0;
    float seen = 0.0;
    int i = 0;
    for (int k = 0; k < SHADOW_CASCADES - 1; ++k) i += int(far >= shadow_rim[k].x);
    do {
        vec2 rim = shadow_rim[i].xy;
        float inside = clamp((rim.x - far) * rim.y, 0.0, 1.0);
        seen += left * inside * shadow_taps(shadow_map, shadow_at(shadow_place[i]), vec2(0.5 * sun_direction.w));
        left *= 1.0 - inside;
        ++i;
    } while (left > 0.0 && i < SHADOW_CASCADES);
    seen += left;
#endif
#if MOVING_SHADOW
    // Its rim is empty: beyond it, the clamped lookup finds nothing in the way.
    seen *= shadow_taps(moving_map, shadow_at(shadow_place[SHADOW_CASCADES_MOST]), vec2(sun_light.w));
#endif
    return seen;
}
