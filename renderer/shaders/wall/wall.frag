#version 450
// What an LED shows, bottom to top, in linear light: the outer picture, then the inner frusta by rank; then the codes.
// Defines: INNERS, MESH, OUTPUT (0 codes, 1 light, 2 data, 3 coverage), TRANSFER.

const vec4 LARGEST = vec4(65504.0);
// Smaller copies take over from two texels an LED on. Without it they would be mixed in from one texel on, where their
// coarse grid bends the picture by a hundredth of an LED.
const float MIP_BIAS = -1.0;

uniform sampler2D outer;
uniform vec4 outer_uv;            // scale, offset of the outer face's picture
uniform vec2 gains;               // outer, inner: light gain of the pictures
noperspective in vec3 outer_at;

#if INNERS > 0
uniform sampler2D inner[INNERS];
uniform vec4 inner_uv[INNERS];
uniform vec4 inner_edge[INNERS];  // left, bottom, right, top tangents where alpha is 0
uniform float inner_sharp[INNERS]; // 1 / tan(feather)
noperspective in vec3 inner_at[INNERS];
#if MESH
noperspective in float facing[INNERS];
#endif
#endif

#if OUTPUT == 3 && INNERS > 0
uniform int inner_slot[INNERS];   // which channel its alpha goes to
#endif

out vec4 colour;

#if OUTPUT == 0
#include "wall/encode.glsl"
#endif

#if INNERS > 0
// 1 inside, falling to 0 over the feather, measured as an angle: tan(a - b) = (tan a - tan b) / (1 + tan a tan b).
// A point over 90 degrees from an edge is far inside it.
float cover(vec2 t, vec4 edge, float sharp) {
    vec2 low = (t - edge.xy) / max(1.0 + t * edge.xy, 1e-9);
    vec2 high = (edge.zw - t) / max(1.0 + t * edge.zw, 1e-9);
    float a = clamp(min(min(low.x, low.y), min(high.x, high.y)) * sharp, 0.0, 1.0);
    return a * a * (3.0 - 2.0 * a);
}
#endif

void main() {
    vec4 layer = vec4(0.0);
#if OUTPUT != 3
    layer = texture(outer, outer_at.xy / outer_at.z * outer_uv.xy + outer_uv.zw, MIP_BIAS);
#if OUTPUT != 2
    layer = min(layer, LARGEST) * gains.x;
#endif
#endif
#if INNERS > 0
    for (int i = 0; i < INNERS; ++i) {
        vec2 t = inner_at[i].xy / inner_at[i].z;
        float alpha = cover(t, inner_edge[i], inner_sharp[i]);
        alpha = inner_at[i].z > 0.0 ? alpha : 0.0;
#if MESH
        alpha = facing[i] > 0.0 ? alpha : 0.0;
#endif
#if OUTPUT == 3
        layer = max(layer, vec4(equal(ivec4(inner_slot[i]), ivec4(0, 1, 2, 3))) * alpha);
#else
        vec4 picture = texture(inner[i], t * inner_uv[i].xy + inner_uv[i].zw, MIP_BIAS);
#if OUTPUT != 2
        picture = min(picture, LARGEST) * gains.y;  // half floats may hold an infinity, and 0 * infinity is not 0
#endif
        layer = mix(layer, picture, alpha);
#endif
    }
#endif
#if OUTPUT == 0
    colour = encoded(layer.rgb);
#elif OUTPUT == 1
    colour = vec4(layer.rgb, 1.0);
#else
    colour = layer;
#endif
}
