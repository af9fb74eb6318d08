// What a whole view shares, written once a view. Positions are relative to the eye along the scene's axes:
// small numbers near the eye, so that float32 holds a micrometre wherever the stage stands in the world.
layout(std140, binding = 0) uniform View {
    mat4 clip_from_relative;
    mat4 stage_from_relative;    // its translation is the eye in the stage
    mat4 shadow_from_relative;   // to 0..1 in the coarsest of the sun's maps
    vec4 sh[9];                  // light of the dome and the ambient on a white matt surface; w: the dome's key
    vec4 sun_direction;          // to the sun; w: one texel of the shadow map in 0..1
    vec4 sun_light;              // illuminance / pi, linear ACEScg; w: one texel of the map of what moves
    vec4 dome_turn;              // of dome or sky: cos and sin of the yaw; z: brightness; w: mip of the dome
    vec4 background;             // colour without a dome; w: exposure factor of the whole picture
    vec4 fringe_axis;            // stage axis; w: phase in cycles
    vec4 fringe_count;           // cycles a radian of direction, cycles a metre of stage position
    vec4 eye_in_lights;          // the eye, relative to where the lamps' places are counted from
};

const float PI = 3.14159265358979;
const float BRIGHTEST = 60000.0;  // below the largest half float
