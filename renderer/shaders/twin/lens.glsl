// OpenLensIO on the GPU: photo position -> direction at the pupil. Lengths are in units of the focal length.
uniform int lens_kind;       // 0 pinhole, 1 polynomial maps distorted to undistorted (D-U), 2 the other way (U-D)
uniform vec2 lens_frame;     // width, height of the desqueezed picture
uniform vec2 lens_shift;     // projection offset, y down
uniform vec2 lens_centre;    // projection + distortion offset, y down
uniform vec3 lens_k_up;      // k1 k3 k5
uniform vec3 lens_k_down;    // k2 k4 k6
uniform vec2 lens_p;

vec2 lens_polynomial(vec2 e, out mat2 slope) {
    float r2 = dot(e, e);
    float up = 1.0 + r2 * (lens_k_up.x + r2 * (lens_k_up.y + r2 * lens_k_up.z));
    float down = 1.0 + r2 * (lens_k_down.x + r2 * (lens_k_down.y + r2 * lens_k_down.z));
    float d_up = lens_k_up.x + r2 * (2.0 * lens_k_up.y + r2 * 3.0 * lens_k_up.z);
    float d_down = lens_k_down.x + r2 * (2.0 * lens_k_down.y + r2 * 3.0 * lens_k_down.z);
    float ratio = up / down;
    float d_ratio = 2.0 * (d_up - ratio * d_down) / down;
    float p1 = lens_p.x, p2 = lens_p.y;
    slope[0] = vec2(ratio + e.x * e.x * d_ratio + 2.0 * p1 * e.y + 6.0 * p2 * e.x,
                    e.x * e.y * d_ratio + 2.0 * p2 * e.y + 2.0 * p1 * e.x);
    slope[1] = vec2(e.x * e.y * d_ratio + 2.0 * p1 * e.x + 2.0 * p2 * e.y,
                    ratio + e.y * e.y * d_ratio + 2.0 * p2 * e.x + 6.0 * p1 * e.y);
    return e * ratio + vec2(2.0 * p1 * e.x * e.y + p2 * (r2 + 2.0 * e.x * e.x),
                            2.0 * p2 * e.x * e.y + p1 * (r2 + 2.0 * e.y * e.y));
}

// position: 0..1 across the photo, y down. Gives right and up over forward, and its change with the position: within
// one pixel the lens is straight to a ten-thousandth of it.
vec2 lens_tangents(vec2 position, out mat2 change) {
    vec2 e = (position - 0.5) * lens_frame;
    mat2 slope = mat2(1.0);
    if (lens_kind == 1) {
        e = lens_polynomial(e - lens_centre, slope) + lens_centre;
    } else if (lens_kind == 2) {
        vec2 target = e - lens_centre;
        vec2 x = target;
        for (int i = 0; i < 8; ++i) {
            vec2 wrong = lens_polynomial(x, slope) - target;
            x -= inverse(slope) * wrong;
        }
        slope = inverse(slope);
        e = x + lens_centre;
    }
    change = mat2(slope[0] * vec2(1.0, -1.0) * lens_frame.x, slope[1] * vec2(1.0, -1.0) * lens_frame.y);
    return (e - lens_shift) * vec2(1.0, -1.0);
}
