#version 450 core
// The photo: every sub-pixel's ray meets the walls exactly (plane equations, not the rasteriser), falls on one LED,
// and brings back that LED's light. Drawn with row 0 on top.
//#include lens
struct Surface {
    vec4 column;    // column in the tile = dot(d, column.xyz) / dot(d, plane.xyz)
    vec4 row;
    vec4 plane;     // xyz u x v, w = its product with the origin: distance along d = w / dot(d, xyz)
    vec4 side_a;    // position along u and v likewise, zero for whole cabinets
    vec4 side_b;
    ivec4 origin;   // canvas x0, y0, layer, 1 if the inner may show here
    ivec4 turn;     // xc, xr, yc, yr
    ivec4 size;     // columns, rows, canvas scale, 0
};
layout(std430, binding = 0) readonly buffer Surfaces { Surface surfaces[]; };
uniform usampler2D ids;
uniform usampler2DArray canvas_0;
#if SETS > 1
uniform usampler2DArray canvas_1;
#endif
uniform sampler2D decode;          // row: canvas; column: code; light of one channel
uniform mat3 ap1_from_led[LAYERS];
uniform int layer_bits[LAYERS];
uniform vec2 photo_px;
uniform vec4 bounds;
uniform vec4 inner_bounds;         // tangents between which the inner has alpha 1
uniform int fine;                  // sub-pixels per side
layout(location = 0) out vec4 light_0;
#if SETS > 1
layout(location = 1) out vec4 light_1;
#endif

const int MOST = 6;

bool meet(Surface s, vec3 d, out float distance_m, out ivec2 led, out bool lit) {
    float facing = dot(d, s.plane.xyz);
    distance_m = s.plane.w / facing;
    vec2 at = vec2(dot(d, s.column.xyz), dot(d, s.row.xyz)) / facing;
    vec2 side = vec2(dot(d, s.side_a.xyz), dot(d, s.side_b.xyz)) / facing;
    led = clamp(ivec2(floor(at)), ivec2(0), s.size.xy - 1);
    lit = facing < 0.0;
    return distance_m > 0.0 && all(greaterThan(at, vec2(-1e-3))) && all(lessThan(at, vec2(s.size.xy) + 1e-3))
        && side.x > -1e-5 && side.y > -1e-5 && side.x + side.y < 1.00001;
}

vec3 shown(uint word, int layer) {
    int bits = layer_bits[layer];
    uint most = (1u << bits) - 1u;
    return vec3(texelFetch(decode, ivec2(int(word & most), layer), 0).r,
                texelFetch(decode, ivec2(int((word >> bits) & most), layer), 0).r,
                texelFetch(decode, ivec2(int((word >> (2 * bits)) & most), layer), 0).r);
}

void add(Surface s, ivec2 led, inout vec3 sum_0, inout vec3 sum_1) {
    int layer = s.origin.z;
    ivec2 at = ivec2(s.origin.x + s.turn.x * led.x + s.turn.y * led.y,
                     s.origin.y + s.turn.z * led.x + s.turn.w * led.y) / s.size.z;
    sum_0 += ap1_from_led[layer] * shown(texelFetch(canvas_0, ivec3(at, layer), 0).r, layer);
#if SETS > 1
    sum_1 += ap1_from_led[layer] * shown(texelFetch(canvas_1, ivec3(at, layer), 0).r, layer);
#endif
}

uvec2 scattered(uvec2 v) {
    v = v * 1664525u + 1013904223u;
    v.x += v.y * 1664525u;
    v.y += v.x * 1664525u;
    v ^= v >> 16u;
    v.x += v.y * 1664525u;
    v.y += v.x * 1664525u;
    return v ^ (v >> 16u);
}

// Where the rays of a pixel go. On an even grid, LEDs whose pitch is near a whole number of sub-pixels would all be
// shifted the same way, by up to half a sub-pixel. Here every ray has a row and a column of its own (fine * fine of
// each), dealt anew in every pixel by `deal`, and a fixed scatter within them.
vec2 spread(uvec2 pixel, uvec2 deal, int i) {
    uvec2 cell = uvec2(i % fine, i / fine);
    uvec2 dealt = (cell.yx + ((deal >> (4u * cell)) & 15u)) % uint(fine);
    vec2 jitter = vec2(scattered(pixel * uint(fine) + cell) >> 8u) / 16777216.0;
    return (vec2(cell) + (vec2(dealt) + jitter) / float(fine)) / float(fine);
}

vec3 ray(vec2 middle, mat2 per_px, uvec2 pixel, uvec2 deal, int i) {
    vec2 t = middle + per_px * (spread(pixel, deal, i) - 0.5);
    return vec3(t.x, 1.0, t.y);
}

bool in_inner(vec3 d) {
    return d.x >= inner_bounds.x && d.x <= inner_bounds.y && d.z >= inner_bounds.z && d.z <= inner_bounds.w;
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    mat2 change;
    vec2 middle = lens_tangents((vec2(pixel) + 0.5) / photo_px, change);
    mat2 per_px = mat2(change[0] / photo_px.x, change[1] / photo_px.y);
    ivec2 size = textureSize(ids, 0);
    // An id texel is as large as the largest photo pixel: 3 x 3 of them hold everything one pixel can see.
    ivec2 texel = ivec2(floor(vec2((middle.x - bounds.x) / (bounds.y - bounds.x),
                                   (bounds.w - middle.y) / (bounds.w - bounds.z)) * vec2(size)));
    uvec2 deal = scattered(uvec2(pixel) ^ uvec2(0x9e3779b9u, 0x85ebca6bu));
    uint found[MOST];
    int count = 0;
    for (int i = 0; i < 9; ++i) {
        ivec2 near = clamp(texel + ivec2(i % 3 - 1, i / 3 - 1), ivec2(0), size - 1);
        uint id = texelFetch(ids, near, 0).r;
        bool known = id == 0u;
        for (int k = 0; k < count; ++k) known = known || found[k] == id;
        if (!known && count < MOST) found[count++] = id;
    }
    vec3 sum_0 = vec3(0.0), sum_1 = vec3(0.0);
    float inner = 0.0;
    int samples = fine * fine;
    if (count == 1) {
        Surface s = surfaces[found[0] - 1u];
        for (int i = 0; i < samples; ++i) {
            vec3 d = ray(middle, per_px, uvec2(pixel), deal, i);
            float distance_m; ivec2 led; bool lit;
            if (meet(s, d, distance_m, led, lit) && lit) {
                add(s, led, sum_0, sum_1);
                if (s.origin.w == 1 && in_inner(d)) inner += 1.0;
            }
        }
    } else if (count > 1) {
        for (int i = 0; i < samples; ++i) {
            vec3 d = ray(middle, per_px, uvec2(pixel), deal, i);
            float nearest_m = 1e30;
            int which = -1;
            ivec2 where = ivec2(0);
            bool bright = false;
            for (int k = 0; k < count; ++k) {
                float distance_m; ivec2 led; bool lit;
                if (meet(surfaces[found[k] - 1u], d, distance_m, led, lit) && distance_m < nearest_m) {
                    nearest_m = distance_m;
                    which = k;
                    where = led;
                    bright = lit;
                }
            }
            if (bright) {
                Surface s = surfaces[found[which] - 1u];
                add(s, where, sum_0, sum_1);
                if (s.origin.w == 1 && in_inner(d)) inner += 1.0;
            }
        }
    }
    light_0 = vec4(sum_0, inner) / float(samples);
#if SETS > 1
    light_1 = vec4(sum_1, inner) / float(samples);
#endif
}
