// Lens-aware focus: nearness is one over the distance along the optical axis.
uniform float aperture;            // width of the pupil, m
uniform float in_focus;            // nearness of the plane in focus
uniform float texels_per_tangent;  // of the finer axis; radii are counted in its texels
uniform float most_px;
uniform vec2 squash;               // texels along x and y of one of those
uniform vec2 range;                // nearness of the far and of the near plane

// It is linear in the depth buffer.
float nearness_of(float d) {
    return mix(range.y, range.x, d);
}
