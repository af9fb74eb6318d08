// Linear ACEScg light (1.0 = 100 nit) to the codes of one canvas: primaries, roll-off, transfer, range, dither.
// TRANSFER: 0 PQ, 1 gamma 2.4, 2 sRGB. The curves are rational fits in the fourth root of light (renderer.colour.fits):
// PQ to 1.7e-6 of the signal, four times cheaper than four powers.

// What a canvas is encoded to stands in the program as constants (CanvasColour.constants): reading them from a uniform
// block took a quarter of the whole wall pass on llvmpipe.
const vec4 primaries[3] = vec4[3](PRIMARIES_0, PRIMARIES_1, PRIMARIES_2);
                                  // rows of (canvas RGB from the light) / 100: light as a share of 10,000 nits
const vec4 roll = ROLL;           // knee, where it ends, slope at the knee less 1, square
const vec4 roll_end = ROLL_END;   // cube, 0, fourth root of 10,000 nits over the peak, PQ of the peak
const vec4 codes = CODES;         // code of signal 0, codes from signal 0 to 1, 1 / highest code, dither strength

uniform ivec2 noise_at;           // offset into the noise
layout(binding = 15) uniform sampler2D noise;

vec3 pq_from_root(vec3 t) {
    vec3 over = t * (PQ_P1 + t * (PQ_P2 + t * (PQ_P3 + t * (PQ_P4 + t * PQ_P5))));
    vec3 under = 1.0 + t * (PQ_Q1 + t * (PQ_Q2 + t * (PQ_Q3 + t * PQ_Q4)));
    return over / under;
}

vec3 root_from_pq(vec3 e) {
    vec3 over = ROOT_P0 + e * (ROOT_P1 + e * (ROOT_P2 + e * ROOT_P3));
    vec3 under = 1.0 + e * (ROOT_Q1 + e * (ROOT_Q2 + e * ROOT_Q3));
    return over / under;
}

vec3 signal_of(vec3 light) {
    vec3 y = vec3(dot(primaries[0].rgb, light), dot(primaries[1].rgb, light), dot(primaries[2].rgb, light));
    // Above 10,000 nits the fit goes on rising, so the roll-off's end clips it: no clamp is needed before.
    vec3 root = sqrt(sqrt(max(y, 0.0)));
    vec3 pq = pq_from_root(root);
    vec3 bent = min(pq, roll.y);
    vec3 d = max(bent - roll.x, 0.0);
    bent += d * (roll.z + d * (roll.w + d * roll_end.x));
#if TRANSFER == 0
    return bent;
#else
    // Below the knee nothing is bent: the light itself is used, not its way through PQ and back.
    root = mix(root, root_from_pq(bent), greaterThan(pq, roll.xxx));
    vec3 x = min(root * roll_end.z, 1.0);
    vec3 power = pow(x, vec3(4.0 / 2.4));
#if TRANSFER == 1
    return power;
#else
    vec3 x4 = (x * x) * (x * x);
    return mix(1.055 * power - 0.055, 12.92 * x4, lessThanEqual(x4, vec3(0.0031308)));
#endif
#endif
}

vec4 quantised(vec3 signal) {
    vec3 code = signal * codes.y + codes.x;
    // Triangular noise of one code either way; within half a code of an end, where it would be cut on one side, the
    // same noise made uniform: black stays black, the mean stays true, and no sum leaves the range.
    vec3 wide = texelFetch(noise, (ivec2(gl_FragCoord.xy) + noise_at) & 63, 0).rgb * (2.0 * codes.w) - codes.w;
    vec3 even = wide * (1.0 - 0.5 * abs(wide));
    vec3 room = min(code - codes.x, codes.x + codes.y - code);
    return vec4(floor(code + mix(wide, even, lessThan(room, vec3(0.5))) + 0.5) * codes.z, 1.0);
}

vec4 encoded(vec3 light) {
    return quantised(signal_of(light));
}
