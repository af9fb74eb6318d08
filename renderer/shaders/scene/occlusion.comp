#version 450 core
// One direction of the sky: adds it to every cell that sees it past the casters of a depth map.
layout(local_size_x = 4, local_size_y = 4, local_size_z = 4) in;
layout(binding = 0, rgba32f) uniform image3D cells;
layout(binding = 0) uniform sampler2DShadow casters;
uniform mat4 place_from_cell;   // to 0..1 in the map
uniform vec3 direction;

void main() {
    ivec3 at = ivec3(gl_GlobalInvocationID);
    if (any(greaterThanEqual(at, imageSize(cells)))) return;
    vec3 place = (place_from_cell * vec4(vec3(at) + 0.5, 1.0)).xyz;
    float seen = textureLod(casters, place, 0.0);
    imageStore(cells, at, imageLoad(cells, at) + seen * vec4(direction, 1.0));
}
