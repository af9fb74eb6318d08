// A layer's grade, in linear ACEScg before layers are put together: renderer.colour.grade says what each step means.
// Defines: INNERS, GRADE (1 one 3x3 and an offset, 2 exponents too), LUMA_AP1.

// Nine vectors a layer, the base picture first. Rows of the first 3x3 with its offset; power and contrast; rows of the
// second with lift; gain less lift and saturation; 1 / gamma and the layer's own level.
uniform vec4 grade[(INNERS + 1) * 9];

#if GRADE == 2
vec3 odd_power(vec3 x, vec3 exponent) {
    return sign(x) * pow(abs(x), exponent);
}
#endif

vec3 graded(vec3 light, int layer) {
    int at = layer * 9;
    vec3 x = vec3(dot(grade[at].rgb, light), dot(grade[at + 1].rgb, light), dot(grade[at + 2].rgb, light));
    x += vec3(grade[at].w, grade[at + 1].w, grade[at + 2].w);
    float level = grade[at + 8].w;
#if GRADE == 2
    vec3 full = mix(x, pow(max(x, 0.0), grade[at + 3].rgb), greaterThan(x, vec3(0.0)));
    full = vec3(dot(grade[at + 4].rgb, full), dot(grade[at + 5].rgb, full), dot(grade[at + 6].rgb, full));
    full = odd_power(full, grade[at + 3].www);
    full = full * grade[at + 7].rgb + vec3(grade[at + 4].w, grade[at + 5].w, grade[at + 6].w);
    full = odd_power(full, grade[at + 8].rgb);
    vec3 grey = vec3(dot(LUMA_AP1, full));
    x = level > 1.5 ? grey + grade[at + 7].w * (full - grey) : x;
#endif
    // A layer without a grade beside one that has: its light as it is, to the bit.
    return level > 0.5 ? x : light;
}
