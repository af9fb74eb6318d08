#version 450 core
// Depth alone; cut-out materials cut their shadow too.
#if ALPHA_MASK
uniform vec2 alpha;   // factor, cutoff
layout(binding = 0) uniform sampler2D base_texture;
in vec2 v_uv;
#endif

void main() {
#if ALPHA_MASK
    if (texture(base_texture, v_uv).a * alpha.x < alpha.y) discard;
#endif
}
