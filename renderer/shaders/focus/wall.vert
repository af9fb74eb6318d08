#version 450 core
// Walls as a camera's inner picture sees them: where the light of each of its texels will really come from.
uniform vec3 offset;     // origin of the positions - the pupil
uniform mat3 view;       // rows: right, up, forward
uniform vec4 tangents;   // left, right, bottom, top of the picture

in vec3 position;

void main() {
    vec3 at = view * (position + offset);
    vec2 wide = tangents.yw - tangents.xz;
    gl_Position = vec4((2.0 * at.xy - (tangents.yw + tangents.xz) * at.z) / wide, at.z - 0.04, at.z);
}
