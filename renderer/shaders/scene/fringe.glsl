// Cosine fringes, 0..1: content whose place in a picture can be measured to a small part of a pixel.
float fringe_of_direction(vec3 stage_direction) {
    float along = dot(stage_direction, fringe_axis.xyz);
    float angle = angle_of(along, length(stage_direction - along * fringe_axis.xyz));
    return 0.5 + 0.5 * cos(2.0 * PI * (fringe_count.x * angle + fringe_axis.w));
}

float fringe_of_position(vec3 stage_position) {
    return 0.5 + 0.5 * cos(2.0 * PI * (fringe_count.y * dot(stage_position, fringe_axis.xyz) + fringe_axis.w));
}
