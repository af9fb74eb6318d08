#version 450 core
// The dome blurred by the GGX lobe of one roughness, laid out on the octahedron: what a surface of that
// roughness reflects (its normal, view and reflection taken as one direction).
#include "scene/angle.glsl"
#include "scene/octahedron.glsl"

uniform sampler2D dome;
uniform float roughness;
uniform float size_px;      // side of the octahedral picture
uniform float texel_sr;     // solid angle of a dome texel at the horizon
uniform int sample_count;

out vec4 colour;

const float PI = 3.14159265358979;
const float BRIGHTEST = 60000.0;

vec2 hammersley(uint i, uint n) {
    uint bits = bitfieldReverse(i);
    return vec2((float(i) + 0.5) / float(n), float(bits) * 2.3283064365386963e-10);
}

vec3 radiance(vec3 d, float lod) {
    return textureLod(dome, equirect_from_direction(d), lod).rgb;
}

void main() {
    vec2 place = (gl_FragCoord.xy - 0.5) / (size_px - 1.0) * 2.0 - 1.0;
    vec3 n = direction_from_octahedron(place);
    if (sample_count <= 1) {
        colour = vec4(radiance(n, 0.0), 1.0);
        return;
    }
    // A frame without a jump (but straight down), so that neighbouring texels use neighbouring rays.
    float k = -1.0 / (1.0 + max(n.z, -0.999999));
    float m = n.x * n.y * k;
    vec3 t = vec3(1.0 + n.x * n.x * k, m, -n.x);
    vec3 b = vec3(m, 1.0 + n.y * n.y * k, -n.y);
    float a = roughness * roughness;
    float a2 = a * a;
    vec3 sum = vec3(0.0);
    float weight = 0.0;
    for (int i = 0; i < sample_count; ++i) {
        vec2 xi = hammersley(uint(i), uint(sample_count));
        float phi = 2.0 * PI * xi.y;
        float cos2 = (1.0 - xi.x) / (1.0 + (a2 - 1.0) * xi.x);
        float cos_h = sqrt(cos2);
        float sin_h = sqrt(max(0.0, 1.0 - cos2));
        vec3 h = t * (sin_h * cos(phi)) + b * (sin_h * sin(phi)) + n * cos_h;
        vec3 l = 2.0 * cos_h * h - n;
        float n_l = dot(n, l);
        if (n_l <= 0.0) continue;
        // Each ray reads the mip whose texels are as large as the part of the lobe it stands for: no fireflies.
        float d = cos2 * (a2 - 1.0) + 1.0;
        float pdf = a2 / (PI * d * d) * 0.25;
        float ray_sr = 1.0 / (float(sample_count) * pdf);
        float lod = max(0.0, 0.5 * log2(ray_sr / texel_sr) + 0.5);
        sum += radiance(l, lod) * n_l;
        weight += n_l;
    }
    sum /= max(weight, 1e-6);
    colour = vec4(min(sum, vec3(BRIGHTEST)), 1.0);
}
