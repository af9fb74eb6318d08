// The lamps of a scene, summed in the order they are listed: whichever of them a place's cell lists besides those
// that reach it, the sum is the same. Needs lit.glsl; positions are relative to a point near the stage.
struct Lamp {
    vec4 place;     // position, or to a directional light; w: 1 / range^2
    vec4 light;     // candela (lux) / (100 pi), linear ACEScg; w: radius in metres
    vec4 axis;      // unit, the way it shines; w: metres a texel of its shadow map spans, a metre away
    vec4 cone;      // scale and offset of the cosine; z, w: shadow views of what stands still, of what moves, or -1
};

layout(std140, binding = 3) uniform Lamps {
    vec4 grid_low;              // corner of the grid; w: cells a metre
    ivec4 grid_size;            // cells along x, y, z
    Lamp lamps[LAMP_CAPACITY];
#if LAMP_SHADOWS
    vec4 lamp_views[3 * LAMP_VIEWS];    // rows: to the place in the atlas of shadow maps, and what divides it
#endif
};
layout(std430, binding = 0) readonly buffer LampCells {
    uint lamp_cells[];
};

#if LAMP_SHADOWS
layout(binding = 9) uniform sampler2DShadow lamp_map;

// The view of a lamp's maps that a direction from it falls into: a point has six, along x, -x, y, -y, z, -z.
int lamp_view(float coded, vec3 from_lamp) {
    int view = int(coded);
    if (view < SIX_VIEWS) return view;
    vec3 a = abs(from_lamp);
    int face = a.x >= a.y && a.x >= a.z ? (from_lamp.x < 0.0 ? 1 : 0)
        : a.y >= a.z ? (from_lamp.y < 0.0 ? 3 : 2) : (from_lamp.z < 0.0 ? 5 : 4);
    return view - SIX_VIEWS + face;
}

float lamp_taps(vec3 place) {
#if SHADOW_TAPS == 1
    return texture(lamp_map, place);
#else
    vec2 texel = 1.0 / vec2(textureSize(lamp_map, 0));
    float seen = 0.0;
    for (int y = -1; y <= 1; ++y)
        for (int x = -1; x <= 1; ++x)
            seen += texture(lamp_map, place + vec3(vec2(x, y) * texel, 0.0));
    return seen * (1.0 / 9.0);
#endif
}

// How much of a lamp a place sees. `n` is its surface's normal on the lamp's side, `away` goes to the lamp.
float lamp_seen(Lamp lamp, vec3 at, vec3 n, vec3 away, float n_l) {
    // Off the surface by more where the light grazes it, as for the sun.
    vec3 off = at + n * (lamp.axis.w * length(away) * LAMP_OFF * (1.5 - n_l));
    vec3 from_lamp = off - lamp.place.xyz;
    float far = LAMP_FAR * inversesqrt(lamp.place.w);
    float near = min(max(LAMP_NEAR, lamp.light.w), 0.5 * far);
    float seen = 1.0;
    float coded = lamp.cone.z;
    float next = lamp.cone.w;
    do {
        int view = 3 * max(lamp_view(coded, from_lamp), 0);
        float w = dot(lamp_views[view + 2], vec4(off, 1.0));
        vec2 place = vec2(dot(lamp_views[view], vec4(off, 1.0)), dot(lamp_views[view + 1], vec4(off, 1.0))) / w;
        float here = lamp_taps(vec3(place, (far - far * near / w) / (far - near)));
        seen *= coded < 0.0 ? 1.0 : here;
        coded = next;
        next = -1.0;
    } while (coded >= 0.0);
    return seen;
}
#endif

vec3 lamp_light(Surface s, Lamp lamp, vec3 at) {
    vec3 away = lamp.place.xyz - at;
    float d2 = dot(away, away);
    float x = d2 * lamp.place.w;
    float window = max(1.0 - x * x, 0.0);
    float n_d = dot(s.n, away);
#if GLASS
    if (window <= 0.0) return vec3(0.0);
#else
    if (window <= 0.0 || n_d <= 0.0) return vec3(0.0);
#endif
    vec3 to_light = away * inversesqrt(d2);
    float cone = clamp(dot(lamp.axis.xyz, -to_light) * lamp.cone.x + lamp.cone.y, 0.0, 1.0);
    if (cone <= 0.0) return vec3(0.0);
    float share = window * cone * cone / max(d2, lamp.light.w * lamp.light.w);
#if LAMP_SHADOWS
    vec3 flat_n = normalize(v_normal);
    float flat_n_l = dot(flat_n, to_light);
    share *= lamp_seen(lamp, at, flat_n * sign(flat_n_l), away, abs(flat_n_l));
    if (share <= 0.0) return vec3(0.0);
#endif
#if LAMP_SIZES
    // A lamp that is seen large makes a highlight that is large.
    float a = min(1.0, s.roughness * s.roughness + 0.5 * lamp.light.w * inversesqrt(d2));
    s.roughness = sqrt(a);
#endif
#if GLASS
    if (n_d <= 0.0) return from_behind(s, to_light, lamp.light.rgb * share);
#endif
    return direct(s, to_light, lamp.light.rgb * share);
}

vec3 lamp_lights(Surface s) {
    vec3 sum = vec3(0.0);
#if DIRECTIONALS
    for (int i = 0; i < DIRECTIONALS; ++i)
        if (dot(s.n, lamps[i].place.xyz) > 0.0) sum += direct(s, lamps[i].place.xyz, lamps[i].light.rgb);
#if GLASS
        else sum += from_behind(s, lamps[i].place.xyz, lamps[i].light.rgb);
#endif
#endif
#if LAMP_WORDS
    vec3 at = v_relative + eye_in_lights.xyz;
    ivec3 cell = ivec3(floor((at - grid_low.xyz) * grid_low.w));
    bool inside = all(greaterThanEqual(cell, ivec3(0))) && all(lessThan(cell, grid_size.xyz));
    int first = inside ? ((cell.z * grid_size.y + cell.y) * grid_size.x + cell.x) * LAMP_WORDS : 0;
    uint listed[LAMP_WORDS];
    for (int word = 0; word < LAMP_WORDS; ++word) listed[word] = inside ? lamp_cells[first + word] : 0u;
    // The loop asks at its end: software GL runs one that asks at its start once more than needed.
    bool more;
    do {
        int i = -1;
        more = false;
        for (int word = 0; word < LAMP_WORDS; ++word) {
            if (i < 0 && listed[word] != 0u) {
                i = 32 * word + findLSB(listed[word]);
                listed[word] &= listed[word] - 1u;
            }
            more = more || listed[word] != 0u;
        }
        if (i >= 0) sum += lamp_light(s, lamps[i], at);
    } while (more);
#endif
    return sum;
}
