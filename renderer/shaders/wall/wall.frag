#version 450
// What an LED shows, bottom to top, in linear light: the base picture (outer, or an inner that covers the whole item),
// then the inner frusta above it by rank; then the codes. Cards lie on the outer and on the inner pictures they are
// marked for; pictures are graded before anything is laid over them.
// Defines: INNERS, MESH, CARDS and GRADE (only with OUTPUT 0 and 1), OUTPUT (0 codes, 1 light, 2 data, 3 coverage),
// TRANSFER.

const vec3 LARGEST = vec3(65504.0);
// Smaller copies take over from two texels an LED on. Without it they would be mixed in from one texel on, where their
// coarse grid bends the picture by a hundredth of an LED.
const float MIP_BIAS = -1.0;

uniform sampler2D base;
uniform vec4 base_uv;             // scale, offset of the base picture
uniform float base_gain;
noperspective in vec3 base_at;

#if INNERS > 0
uniform sampler2D inner[INNERS];
uniform vec4 inner_uv[INNERS];
uniform vec4 inner_rise[INNERS];  // feather at left, bottom, right, top: tangent * rise + start, 0 at the picture's edge,
uniform vec4 inner_start[INNERS]; // 1 as many degrees inside as the feather has
noperspective in vec3 inner_at[INNERS];
#if MESH
noperspective in float facing[INNERS];
#endif
#endif

#if OUTPUT == 3 && INNERS > 0
uniform vec4 inner_slot[INNERS];  // 1 in the channel its alpha goes to
#endif

#if CARDS
noperspective in vec3 stage_at;
#include "wall/cards.glsl"
#endif

out vec4 colour;

#if OUTPUT == 0
#include "wall/encode.glsl"
#endif

#if INNERS > 0
// 1 inside, falling to 0 over the feather.
float cover(vec2 t, vec4 rise, vec4 start) {
    vec4 a = t.xyxy * rise + start;
    vec2 b = min(a.xy, a.zw);
    float c = clamp(min(b.x, b.y), 0.0, 1.0);
    return c * c * (3.0 - 2.0 * c);
}
#endif

#if OUTPUT == 2
#define LAYER vec4
#define TAKE(picture) (picture)
#else
// Half floats may hold an infinity, and 0 * infinity is not 0.
#define LAYER vec3
#define TAKE(picture) min((picture).rgb, LARGEST)
#endif

#if GRADE
#include "wall/grade.glsl"
#define SHADE(light, layer) graded(light, layer)
#else
#define SHADE(light, layer) (light)
#endif

void main() {
#if OUTPUT == 3
    vec4 covered = vec4(0.0);
#else
    LAYER layer = TAKE(texture(base, base_at.xy / base_at.z * base_uv.xy + base_uv.zw, MIP_BIAS));
#if OUTPUT != 2
    layer = SHADE(layer * base_gain, 0);
#endif
#endif
#if CARDS
    // Each card is worked out once, and laid on every layer it belongs to.
    vec3 layers[INNERS + 1];
    layers[0] = layer;
#if INNERS > 0
    for (int i = 0; i < INNERS; ++i) {
        vec2 t = inner_at[i].xy / inner_at[i].z;
        layers[i + 1] = SHADE(TAKE(texture(inner[i], t * inner_uv[i].xy + inner_uv[i].zw, MIP_BIAS)), i + 1);
    }
#endif
    for (int k = 0; k < card_count; ++k) {
        vec3 light;
        float alpha = card_at(card_use[k].x, stage_at, light);
        bool flag = cards[card_use[k].x].what.y == 1;
        for (int i = 0; i <= INNERS; ++i) {
            vec3 shown = mix(layers[i], flag ? layers[i] * light : light, alpha);
            layers[i] = (card_use[k].y >> i & 1) == 1 ? shown : layers[i];
        }
    }
    layer = layers[0];
#endif
#if INNERS > 0
    for (int i = 0; i < INNERS; ++i) {
        vec2 t = inner_at[i].xy / inner_at[i].z;
        float alpha = cover(t, inner_rise[i], inner_start[i]);
        alpha = inner_at[i].z > 0.0 ? alpha : 0.0;
#if MESH
        alpha = facing[i] > 0.0 ? alpha : 0.0;
#endif
#if OUTPUT == 3
        covered = max(covered, inner_slot[i] * alpha);
#elif CARDS
        layer = mix(layer, layers[i + 1], alpha);
#else
        layer = mix(layer, SHADE(TAKE(texture(inner[i], t * inner_uv[i].xy + inner_uv[i].zw, MIP_BIAS)), i + 1), alpha);
#endif
    }
#endif
#if OUTPUT == 0
    colour = encoded(layer);
#elif OUTPUT == 1
    colour = vec4(layer, 1.0);
#elif OUTPUT == 2
    colour = layer;
#else
    colour = covered;
#endif
}
