#version 450 core
// A small square about each star, and one about the moon (the last), as far away as can be.
#include "scene/view.glsl"

in vec4 in_place;    // unit direction; w: half the square's side in pixels
in vec3 in_light;    // of a star what a pixel's solid angle makes of it; of the moon its light
uniform vec2 pixel;  // a pixel in clip coordinates
uniform int last;    // the moon's number
out vec2 off_px;
flat out vec3 light;
flat out float moon;

void main() {
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    vec4 at = clip_from_relative * vec4(in_place.xyz, 0.0);
    off_px = corner * in_place.w;
    at.xy += off_px * pixel * at.w;
    // Behind the eye there is nothing.
    gl_Position = at.w > 1e-6 ? vec4(at.xy, at.w, at.w) : vec4(2.0, 2.0, 2.0, 1.0);
    // A pixel's solid angle is smaller aside: the cosine is at.w, for clip w is the way along the view's axis.
    moon = gl_InstanceID == last ? 1.0 : 0.0;
    light = moon > 0.5 ? in_light : in_light / max(at.w * at.w * at.w, 1e-6);
}
