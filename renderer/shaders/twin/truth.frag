#version 450 core
// A wide undistorted picture resampled through the lens onto the photo's raster, row 0 on top.
//#include lens
uniform sampler2D wide;      // GL rows: row 0 at the bottom of the view
uniform vec4 bounds;         // its tangents
uniform vec2 photo_px;
uniform int fine;
out vec4 light;
void main() {
    mat2 change;
    vec2 middle = lens_tangents(gl_FragCoord.xy / photo_px, change);
    mat2 per_px = mat2(change[0] / photo_px.x, change[1] / photo_px.y);
    vec3 sum = vec3(0.0);
    for (int i = 0; i < fine * fine; ++i) {
        vec2 sub = (vec2(i % fine, i / fine) + 0.5) / float(fine);
        vec2 t = middle + per_px * (sub - 0.5);
        sum += textureLod(wide, (t - bounds.xz) / (bounds.yw - bounds.xz), 0.0).rgb;
    }
    light = vec4(sum / float(fine * fine), 1.0);
}
