#version 450 core
// One scene's share of a wipe: all of it behind the edge, nothing before it, mixed over the edge's width.
layout(binding = 0) uniform sampler2D picture;
uniform mat4 direction_from_clip;  // to the stage's axes; w is divided by
uniform vec4 way;                  // direction of the edge's way (unit), and the share's sign: 1 covered, -1 uncovered
uniform vec2 edge;                 // from where to where the mix reaches, radians
in vec2 place;
out vec4 colour;

void main() {
    vec4 far = direction_from_clip * vec4(place, 1.0, 1.0);
    vec3 direction = normalize(far.xyz / far.w);
    float along = asin(clamp(dot(direction, way.xyz), -1.0, 1.0));
    float covered = edge.y > edge.x ? 1.0 - smoothstep(edge.x, edge.y, along) : float(along < edge.x);
    colour = texelFetch(picture, ivec2(gl_FragCoord.xy), 0) * (way.w > 0.0 ? covered : 1.0 - covered);
}
