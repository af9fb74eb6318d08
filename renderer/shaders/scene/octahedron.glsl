// Directions (Z up) laid on a square: the upper half is the inner diamond, the outer edge is straight down.
vec2 octahedron_from_direction(vec3 d) {
    vec3 n = d / (abs(d.x) + abs(d.y) + abs(d.z));
    vec2 folded = (1.0 - abs(n.yx)) * vec2(n.x >= 0.0 ? 1.0 : -1.0, n.y >= 0.0 ? 1.0 : -1.0);
    return n.z >= 0.0 ? n.xy : folded;
}

vec3 direction_from_octahedron(vec2 p) {
    vec3 n = vec3(p, 1.0 - abs(p.x) - abs(p.y));
    float t = max(-n.z, 0.0);
    n.x += n.x >= 0.0 ? -t : t;
    n.y += n.y >= 0.0 ? -t : t;
    return normalize(n);
}
