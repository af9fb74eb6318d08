#version 450 core
// What is seen where no surface is: the dome, the physical sky or a plain background, behind the fog. Drawn last, only
// where the depth is still far.
#include "scene/view.glsl"
#include "scene/angle.glsl"
#include "scene/fringe.glsl"
#include "scene/air.glsl"

in vec2 place;
out vec4 colour;

uniform mat4 relative_from_clip;
#if DOME
layout(binding = 7) uniform sampler2D dome;
#endif

void main() {
    vec4 on = relative_from_clip * vec4(place, 0.0, 1.0);
    vec3 d = normalize(on.xyz / on.w);
#if OUTPUT == OUTPUT_POSITION
    // A direction, as a point far away: w tells it from a surface.
    colour = vec4(mat3(stage_from_relative) * d * 1e5, 0.0);
#elif OUTPUT == OUTPUT_FRINGES
    colour = vec4(vec3(fringe_of_direction(mat3(stage_from_relative) * d)), 1.0);
#else
#if DOME
    vec3 q = vec3(d.x * dome_turn.x + d.y * dome_turn.y, d.y * dome_turn.x - d.x * dome_turn.y, d.z);
    vec3 light = textureLod(dome, equirect_from_direction(q), dome_turn.w).rgb * dome_turn.z;
#elif SKY
    vec3 light = sky_light(d);
#else
    vec3 light = background.rgb;
#endif
#if FOG
    light = through_fog(light, d, fog_y.w);
#endif
    colour = vec4(min(light * background.w, vec3(BRIGHTEST)), 1.0);
#endif
}
