#version 450 core
// One vertex of a mesh that bends: morph targets, then joints; written where all passes read it from.
// SETS: sets of four joints (0: no skin). MORPHS, TANGENTS, FLAT: 0 or 1. FLAT vertices come three a triangle.
layout(local_size_x = 64) in;

layout(std430, binding = 0) readonly buffer Rest { float rest[]; };       // position, normal, (tangent xyz w)
layout(std430, binding = 1) readonly buffer Joints { uint joints[]; };    // 4 * SETS a vertex
layout(std430, binding = 2) readonly buffer Weights { float weights[]; };
layout(std430, binding = 3) readonly buffer Deltas { float deltas[]; };   // a target: position, normal, tangent xyz
layout(std430, binding = 4) readonly buffer Pose { vec4 pose[]; };        // 3 rows a joint, then (target, weight)
layout(std430, binding = 5) writeonly buffer Drawn { float drawn[]; };

uniform int count;
uniform int rest_floats;
uniform int first;          // float of the first vertex in `drawn`
uniform int stride;         // floats a vertex there
uniform int tangent_at;
uniform int joint_count;
uniform int active_count;

struct Vertex {
    vec3 position;
    vec3 normal;
    vec3 tangent;
};

Vertex bent(int v) {
    int at = v * rest_floats;
    Vertex o;
    o.position = vec3(rest[at], rest[at + 1], rest[at + 2]);
    o.normal = vec3(rest[at + 3], rest[at + 4], rest[at + 5]);
#if TANGENTS
    o.tangent = vec3(rest[at + 6], rest[at + 7], rest[at + 8]);
#else
    o.tangent = vec3(0.0);
#endif
#if MORPHS
    for (int i = 0; i < active_count; ++i) {
        vec4 entry = pose[3 * joint_count + i];
        int d = (int(entry.x) * count + v) * 9;
        o.position += entry.y * vec3(deltas[d], deltas[d + 1], deltas[d + 2]);
        o.normal += entry.y * vec3(deltas[d + 3], deltas[d + 4], deltas[d + 5]);
        o.tangent += entry.y * vec3(deltas[d + 6], deltas[d + 7], deltas[d + 8]);
    }
#endif
#if SETS > 0
    vec4 r0 = vec4(0.0), r1 = vec4(0.0), r2 = vec4(0.0);
    for (int i = 0; i < 4 * SETS; ++i) {
        float w = weights[v * 4 * SETS + i];
        int j = 3 * int(joints[v * 4 * SETS + i]);
        r0 += w * pose[j];
        r1 += w * pose[j + 1];
        r2 += w * pose[j + 2];
    }
    vec4 p = vec4(o.position, 1.0);
    o.position = vec3(dot(r0, p), dot(r1, p), dot(r2, p));
    vec3 c0 = vec3(r0.x, r1.x, r2.x), c1 = vec3(r0.y, r1.y, r2.y), c2 = vec3(r0.z, r1.z, r2.z);
    vec3 k0 = cross(c1, c2);
    vec3 n = o.normal;
    o.normal = (dot(c0, k0) < 0.0 ? -1.0 : 1.0) * (k0 * n.x + cross(c2, c0) * n.y + cross(c0, c1) * n.z);
    o.tangent = c0 * o.tangent.x + c1 * o.tangent.y + c2 * o.tangent.z;
#endif
    return o;
}

vec3 unit(vec3 v, vec3 otherwise) {
    float l = dot(v, v);
    return l > 0.0 ? v * inversesqrt(l) : otherwise;
}

void main() {
    int v = int(gl_GlobalInvocationID.x);
    if (v >= count) return;
    Vertex o = bent(v);
#if FLAT
    int corner = v - v % 3;
    vec3 a = bent(corner).position;
    o.normal = cross(bent(corner + 1).position - a, bent(corner + 2).position - a);
#endif
    o.normal = unit(o.normal, vec3(0.0, 0.0, 1.0));
    int to = first + v * stride;
    drawn[to] = o.position.x;
    drawn[to + 1] = o.position.y;
    drawn[to + 2] = o.position.z;
    drawn[to + 3] = o.normal.x;
    drawn[to + 4] = o.normal.y;
    drawn[to + 5] = o.normal.z;
#if TANGENTS
    vec3 t = unit(o.tangent, vec3(1.0, 0.0, 0.0));
    drawn[to + tangent_at] = t.x;
    drawn[to + tangent_at + 1] = t.y;
    drawn[to + tangent_at + 2] = t.z;
    drawn[to + tangent_at + 3] = rest[v * rest_floats + 9];
#endif
}
