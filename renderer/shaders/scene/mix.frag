#version 450 core
// One scene's share of a dissolve, added in light.
layout(binding = 0) uniform sampler2D picture;
uniform float weight;
out vec4 colour;

void main() {
    colour = texelFetch(picture, ivec2(gl_FragCoord.xy), 0) * weight;
}
