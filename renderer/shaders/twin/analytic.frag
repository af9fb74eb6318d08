#version 450 core
// Worlds that are known exactly: every pixel's ray is answered by a formula.
uniform int kind;               // 0 fringes, 1 dot, 2 positions of surfaces, 3 a picture on surfaces
uniform vec2 target_px;
uniform mat3 stage_from_ndc;    // direction = stage_from_ndc * (x, y, 1)
uniform vec3 eye;
uniform float level;
uniform mat3 camera_from_stage;
uniform vec2 cycles;            // fringes per unit of tangent, across and up
uniform vec3 dot_at;
uniform float dot_radius;       // radians, one sigma
uniform int spheres;
uniform int quads;
struct Piece { vec4 a; vec4 b; vec4 c; };   // sphere: a = centre, radius; quad: a origin, b u, c v
layout(std430, binding = 1) readonly buffer Pieces { Piece pieces[]; };
out vec4 colour;

vec3 hit(vec3 d, out bool any_hit) {
    float nearest = 1e30;
    for (int i = 0; i < spheres; ++i) {
        vec3 o = eye - pieces[i].a.xyz;
        float r = pieces[i].a.w;
        float b = dot(o, d), c = dot(o, o) - r * r, q = b * b - c;
        if (q < 0.0) continue;
        float root = sqrt(q);
        // The stable form of both roots.
        float far = b < 0.0 ? -b + root : -(b + root);
        float t0 = b < 0.0 ? c / far : far, t1 = b < 0.0 ? far : c / far;
        float low = min(t0, t1), high = max(t0, t1);
        float t = low > 1e-4 ? low : high;
        if (t > 1e-4 && t < nearest) nearest = t;
    }
    for (int i = spheres; i < spheres + quads; ++i) {
        vec3 o = pieces[i].a.xyz - eye, u = pieces[i].b.xyz, v = pieces[i].c.xyz;
        vec3 n = cross(u, v);
        float facing = dot(d, n);
        if (abs(facing) < 1e-9) continue;
        float t = dot(o, n) / facing;
        float a = dot(d, cross(v, o)) / facing, b = dot(d, cross(o, u)) / facing;
        // A hair of overlap closes the joints between neighbours.
        if (t > 1e-4 && t < nearest && a > -2e-5 && a < 1.00002 && b > -2e-5 && b < 1.00002) nearest = t;
    }
    any_hit = nearest < 1e29;
    return eye + d * nearest;
}

vec3 ray(vec2 at_px) {
    return normalize(stage_from_ndc * vec3(at_px / target_px * 2.0 - 1.0, 1.0));
}

// Soft waves of three scales, larger with the distance, so that no camera of a stage sees them finer than a few
// hundredths of a radian.
vec3 shade(vec3 d) {
    bool any_hit;
    vec3 p = hit(d, any_hit);
    p *= 4.0 / max(length(p), 4.0);
    vec3 w = sin(p * 11.0) + 0.7 * sin(p.yzx * 37.0 + 1.3) + 0.7 * sin(p.zxy * 83.0 + 0.4);
    float light = any_hit ? 0.5 + 0.1 * (w.x + w.y + w.z) : 0.1;
    return level * max(light, 0.02) * vec3(1.0, 0.9 + 0.05 * w.x, 0.85 + 0.06 * w.y);
}

void main() {
    vec3 d = ray(gl_FragCoord.xy);
    if (kind == 0) {
        vec3 c = camera_from_stage * d;
        vec2 wave = c.y > 0.05 ? cos(6.283185307179586 * cycles * c.xz / c.y) : vec2(0.0);
        colour = vec4(vec3(level * (0.5 + 0.25 * (wave.x + wave.y))), 1.0);
    } else if (kind == 1) {
        vec3 to = normalize(dot_at - eye);
        float s = length(cross(d, to));
        float light = dot(d, to) > 0.0 ? exp(-0.5 * s * s / (dot_radius * dot_radius)) : 0.0;
        colour = vec4(vec3(level * light), 1.0);
    } else if (kind == 2) {
        bool any_hit;
        vec3 p = hit(d, any_hit);
        colour = any_hit ? vec4(p, 1.0) : vec4(0.0);
    } else {
        // Four rays a pixel, each with a row and a column of its own: edges are no staircases.
        vec3 sum = shade(ray(gl_FragCoord.xy + vec2(-0.375, -0.125))) + shade(ray(gl_FragCoord.xy + vec2(0.125, -0.375)))
            + shade(ray(gl_FragCoord.xy + vec2(-0.125, 0.375))) + shade(ray(gl_FragCoord.xy + vec2(0.375, 0.125)));
        colour = vec4(0.25 * sum, 1.0);
    }
}
