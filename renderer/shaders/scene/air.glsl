// The air between the eye and what is seen: fog of a density that falls with height, and a physical sky.
// What it does depends on the eye's place and the direction alone, so that every view of a place agrees.
layout(std140, binding = 6) uniform Air {
    vec4 fog_light;     // colour of the fog, even part; w: logarithm of its density (per metre) at the eye
    vec4 fog_x;         // what grows along the scene's x; w: fall of the logarithm of the density per metre up
    vec4 fog_y;         // what grows along y; w: how far away the sky counts as
    vec4 fog_glow;      // sunlight it scatters; w: its density at the eye
    vec4 fog_forward;   // x: how far forward it scatters that (0..1)
    vec4 sky_shape;     // the horizon's dip and a pixel's angle in radians; z: 1 when the sun's disc is seen; w: occlusion's
    vec4 seen_scale;    // strength. To 0..1 in the box of cells, a metre; w: how far off a surface it is looked up, metres
    vec4 seen_offset;   // the eye's place in the box; w: light in the darkest corner
};

#if OCCLUSION
layout(binding = 10) uniform sampler3D seen_cells;

// The share of the sky's light that a surface sees past what stands about it (renderer/passes/occlusion.py).
float sky_seen(vec3 relative, vec3 n) {
    vec3 at = (relative + n * seen_scale.w) * seen_scale.xyz + seen_offset.xyz;
    vec4 cell = textureLod(seen_cells, at, 0.0);
    float open = clamp(cell.a + 2.0 * dot(cell.rgb, n), 0.0, 1.0);
    // Beyond the box all of it is seen; the box ends softly.
    vec3 inside = min(at, 1.0 - at) * 16.0;
    float known = clamp(min(min(inside.x, inside.y), inside.z), 0.0, 1.0) * sky_shape.w;
    return 1.0 - known * (1.0 - max(open, seen_offset.w));
}
#endif

#if FOG
// How much of its own light a thing keeps at `distance_m` along the unit vector d.
float kept_in_fog(vec3 d, float distance_m) {
    // The density is exponential along the ray: what lies between is the difference of its ends over its fall. Level rays
    // have no fall; there it is a series.
    float rise = fog_x.w * d.z * distance_m;
    float ends = fog_glow.w - exp(min(fog_light.w - rise, 20.0));
    float along = abs(rise) < 0.01 ? fog_glow.w * (1.0 - rise * (0.5 - rise * 0.16666667)) : ends / rise;
    return exp(-along * distance_m);
}

vec3 light_of_fog(vec3 d) {
    vec3 light = max(fog_light.rgb + fog_x.rgb * d.x + fog_y.rgb * d.y, vec3(0.0));
#if FOG_GLOW
    // Henyey and Greenstein's lobe about the sun.
    float g = fog_forward.x;
    float t = 1.0 + g * g - 2.0 * g * dot(d, sun_direction.xyz);
    light += fog_glow.rgb * ((1.0 - g * g) / (4.0 * PI * t * sqrt(t)));
#endif
    return light;
}

vec3 through_fog(vec3 light, vec3 d, float distance_m) {
    return mix(light_of_fog(d), light, kept_in_fog(d, distance_m));
}
#endif

#if SKY
layout(binding = 7) uniform sampler2D sky_table;

// Haze's phase function (Cornette and Shanks), as renderer/atmosphere.py has it.
float haze_phase(float c) {
    const float g = HAZE_G;
    float t = 1.0 + g * g - 2.0 * g * c;
    return 3.0 / (8.0 * PI) * (1.0 - g * g) / (2.0 + g * g) * (1.0 + c * c) / (t * sqrt(t));
}

vec3 table_row(float column, float first, float along, float count) {
    vec2 size = vec2(SKY_AZIMUTHS, 2 * SKY_UP_ROWS + SKY_DOWN_ROWS);
    return textureLod(sky_table, vec2(column + 0.5, first + along * (count - 1.0) + 0.5) / size, 0.0).rgb;
}

// Light of the sky (Z up) from direction d; without exposure.
vec3 sky_light(vec3 d) {
    vec3 q = vec3(d.x * dome_turn.x + d.y * dome_turn.y, d.y * dome_turn.x - d.x * dome_turn.y, d.z);
    float rise = angle_of(d.z, length(d.xy)) + sky_shape.x;
    float column = angle_of(abs(q.x), q.y) / PI * (SKY_AZIMUTHS - 1.0);
    float c = dot(d, sun_direction.xyz);
    float up = sqrt(clamp(rise / (0.5 * PI + sky_shape.x), 0.0, 1.0));
    float down = sqrt(clamp(-rise / (0.5 * PI - sky_shape.x), 0.0, 1.0));
    // The horizon's edge is a pixel wide.
    float above = clamp(rise / sky_shape.y + 0.5, 0.0, 1.0);
    vec3 light = vec3(0.0);
    if (above > 0.0) {
        light = table_row(column, 0.0, up, float(SKY_UP_ROWS));
        light += table_row(column, float(SKY_UP_ROWS + SKY_DOWN_ROWS), up, float(SKY_UP_ROWS)) * haze_phase(c);
        light *= dome_turn.z;
        // The disc, darker towards its limb, its edge a pixel wide; it gives the illuminance of the sun's light.
        const float radius = SUN_RADIUS;
        if (SUN == 1 && sky_shape.z > 0.0 && c > 0.99) {
            float off = length(d - sun_direction.xyz);
            float edge = clamp((radius - off) / sky_shape.y + 0.5, 0.0, 1.0);
            float limb = 0.4 + 0.6 * sqrt(max(0.0, 1.0 - off * off / (radius * radius)));
            light += sun_light.rgb * (edge * limb / (0.8 * radius * radius) * sky_shape.z);
        }
    }
    if (above < 1.0) {
        vec3 ground = table_row(column, float(SKY_UP_ROWS), down, float(SKY_DOWN_ROWS)) * dome_turn.z;
        light = mix(ground, light, above);
    }
    return light;
}
#endif
