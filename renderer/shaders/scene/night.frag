#version 450 core
// Stars as soft dots of one width in pixels, so that they neither flicker nor shimmer; and the moon, a ball that its sun
// lights by Lommel and Seeliger's law (as bright at its limb as in its middle when it is full).
#include "scene/view.glsl"
#include "scene/air.glsl"

in vec2 off_px;
flat in vec3 light;
flat in float moon;
out vec4 colour;

uniform mat4 relative_from_clip;
uniform vec2 size_px;
uniform vec3 moon_direction;
uniform vec3 moon_sun;
uniform float moon_radius;

void main() {
    vec4 on = relative_from_clip * vec4(gl_FragCoord.xy / size_px * 2.0 - 1.0, 0.0, 1.0);
    vec3 d = normalize(on.xyz / on.w);
    vec3 sum;
    if (moon > 0.5) {
        vec3 aside = (d - moon_direction * dot(d, moon_direction)) / moon_radius;
        float r2 = dot(aside, aside);
        float edge = clamp((1.0 - sqrt(r2)) * moon_radius / sky_shape.y + 0.5, 0.0, 1.0);
        float towards = sqrt(max(1.0 - r2, 0.0));
        vec3 n = normalize(aside - moon_direction * towards);
        float lit = max(dot(n, moon_sun), 0.0);
        sum = light * (edge * 2.0 * lit / (lit + towards + 1e-4));
    } else {
        sum = light * exp(-dot(off_px, off_px) * (0.5 / (WIDE * WIDE)));
    }
#if FOG
    sum *= kept_in_fog(d, fog_y.w);
#endif
    // Under the horizon is the ground.
    sum *= clamp((asin(clamp(d.z, -1.0, 1.0)) + sky_shape.x) / sky_shape.y + 0.5, 0.0, 1.0);
    colour = vec4(min(sum * background.w, vec3(BRIGHTEST)), 0.0);
}
