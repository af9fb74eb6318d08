// Angles to 2e-8 rad on every driver (Abramowitz and Stegun 4.4.49): the built-in ones may be off by 5e-4, which
// is more than a pixel of a photo.
float angle_of(float y, float x) {
    float ax = abs(x), ay = abs(y);
    float t = min(ax, ay) / max(max(ax, ay), 1e-30);
    float s = t * t;
    float a = ((((((((0.0028662257 * s - 0.0161657367) * s + 0.0429096138) * s - 0.0752896400) * s + 0.1065626393) * s
        - 0.1420889944) * s + 0.1999355085) * s - 0.3333314528) * s + 1.0) * t;
    a = ay > ax ? 1.57079632679 - a : a;
    a = x < 0.0 ? 3.14159265359 - a : a;
    return y < 0.0 ? -a : a;
}

// Place of a direction (Z up) in an equirectangular picture: 0..1 each way, the middle at +Y, row 0 the zenith.
vec2 equirect_from_direction(vec3 d) {
    return vec2(0.5 + angle_of(d.x, d.y) * 0.159154943092, angle_of(length(d.xy), d.z) * 0.318309886184);
}
