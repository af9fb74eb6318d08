#version 450 core
// One over the distance along the optical axis: on a plane it is linear over the picture.
out float nearness;

void main() {
    nearness = gl_FragCoord.w;
}
