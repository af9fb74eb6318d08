#version 450 core
// A picture drawn FINE times finer each way, as its mean: every pixel the light of all its parts.
layout(binding = 0) uniform sampler2D fine;
out vec4 colour;

void main() {
    ivec2 first = ivec2(gl_FragCoord.xy) * FINE;
    vec4 sum = vec4(0.0);
    for (int y = 0; y < FINE; ++y)
        for (int x = 0; x < FINE; ++x)
            sum += texelFetch(fine, first + ivec2(x, y), 0);
    colour = sum / float(FINE * FINE);
}
