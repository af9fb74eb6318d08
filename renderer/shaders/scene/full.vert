#version 450 core
// One triangle over the whole target, at the far plane; `place` is the clip position.
out vec2 place;

void main() {
    place = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
    gl_Position = vec4(place, 1.0, 1.0);
}
