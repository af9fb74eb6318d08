#version 450
// Line-up and test patterns, over everything else. Light here is nits / 100 of the canvas' own primaries.
// Where a pattern has no line, the picture below stays.
// Defines: MESH, TRANSFER, KIND (renderer.pattern_kinds: the number of the pattern; software GL would run them all).

#include "wall/encode.glsl"
#include "wall/text.glsl"

uniform vec3 ink;                 // light of its lines, of plain fields, of the ramp's top
uniform float led_step;           // LEDs of the wall per canvas pixel
uniform vec4 edge;                // inner grid: left, bottom, right, top tangents of the inner picture
uniform vec4 frame;               // inner grid: left, bottom, right, top tangents of the camera's own frame
uniform int frame_number;
uniform float frames_per_s;
uniform float leds;               // checker: side of a field
uniform int fields;               // nit steps, range: how many,
uniform float field_value[32];    // nits / 100, or codes of 10 bits
uniform vec2 code_step;           // codes of the canvas for one of 10 bits, what its highest code is stored as

noperspective in vec3 at;
noperspective in vec2 wall_at;
flat in vec4 tile;
flat in float number;
flat in vec2 wall_extent;
#if MESH
noperspective in float facing;
#endif

out vec4 colour;

const float LINE = 0.75;          // half a line's width in canvas pixels

bool line_at(float x, float place, float step_x) { return abs(x - place) < LINE * step_x; }

bool lines_every(float x, float period, float step_x) {
    float from_line = abs(fract(x / period + 0.5) - 0.5) * period;
    return step_x < 0.4 * period && from_line < LINE * step_x;
}

// 3 x 5 dots a digit, rows from the top, the left dot highest.
const int DIGITS[10] = int[10](
    0x7B6F, 0x2C97, 0x73E7, 0x73CF, 0x5BC9, 0x79CF, 0x79EF, 0x7252, 0x7BEF, 0x7BCF);

bool digit_dot(vec2 place, int value) {
    // `place` in dots from the top left of the text; a digit is 3 wide with 1 between.
    int digits = value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : 4;
    ivec2 dot_at = ivec2(floor(place));
    int which = dot_at.x / 4, column = dot_at.x % 4;
    if (place.x < 0.0 || place.y < 0.0 || dot_at.y > 4 || which >= digits || column == 3) return false;
    int power = which == digits - 1 ? 1 : which == digits - 2 ? 10 : which == digits - 3 ? 100 : 1000;
    return (DIGITS[(value / power) % 10] >> (14 - dot_at.y * 3 - column) & 1) == 1;
}

bool outlines(out vec3 light) {
    vec2 inside = wall_at - tile.xy, left = tile.xy + tile.zw - wall_at;
    float to_edge = min(min(inside.x, inside.y), min(left.x, left.y));
    int value = int(number + 0.5);
    light = (value & 1) == 0 ? ink : ink * vec3(1.0, 0.55, 0.1);
    float dot_led = max(led_step, floor(min(tile.z / 20.0, tile.w / 10.0)));
    int digits = value + 1 < 10 ? 1 : value + 1 < 100 ? 2 : value + 1 < 1000 ? 3 : 4;
    vec2 text = vec2(float(digits * 4 - 1), 5.0) * dot_led;
    if (digit_dot((inside - (tile.zw - text) * 0.5) / dot_led, value + 1)) return true;
    // A block in the top left corner tells which way up the tile is mounted.
    if (all(lessThan(inside, vec2(3.0 * dot_led)))) return true;
    return to_edge < 1.5 * led_step;
}

const int LINE_CHARS = 14, FIELD_CHARS = 8, COUNT_CHARS = 12;
const vec3 LINES[6] = vec3[6](
    vec3(1.0, 0.25, 0.2), vec3(0.25, 1.0, 0.25), vec3(0.3, 0.45, 1.0), vec3(1.0, 0.9, 0.2), vec3(1.0, 0.3, 1.0),
    vec3(0.2, 0.9, 1.0));

vec3 cabinet_map() {
    vec2 inside = wall_at - tile.xy, left = tile.xy + tile.zw - wall_at;
    int row = int(number + 0.5), chars = text_value(row, 4 * LINE_CHARS), line = text_value(row, 4 * LINE_CHARS + 1);
    vec3 of_line = line == 0 ? vec3(0.5) : LINES[(line - 1) % 6];
    if (min(min(inside.x, inside.y), min(left.x, left.y)) < 1.5 * led_step) return ink * of_line;
    float leds_a_dot = dot_leds(tile.zw, chars, 4, led_step);
    if (leds_a_dot > 0.0) {
        vec2 dots = (inside - 0.5 * (tile.zw - vec2(chars * 6 - 1, 31) * leds_a_dot)) / leds_a_dot;
        int at = int(floor(dots.y / 8.0));
        if (at >= 0 && at < 4 && text_dot(vec2(dots.x, dots.y - float(at * 8)), row, at * LINE_CHARS, chars)) return ink;
    } else {
        vec3 light;
        if (outlines(light)) return ink;
    }
    return ink * of_line * 0.15;
}

bool tile_name() {
    vec2 inside = wall_at - tile.xy;
    int row = int(number + 0.5), chars = text_value(row, 4 * LINE_CHARS);
    float leds_a_dot = max(dot_leds(tile.zw * vec2(0.6, 0.3), chars, 1, led_step), 0.0);
    return leds_a_dot > 0.0 && text_dot((inside - 2.0 * leds_a_dot) / leds_a_dot, row, LINE_CHARS, chars);
}

vec3 frame_count() {
    vec2 share = wall_at / wall_extent;
    if (share.y > 0.875) {                             // the number's bits, the highest on the left
        float at = share.x * 32.0;
        bool on = (frame_number >> (31 - int(at)) & 1) == 1;
        return abs(fract(at) - 0.5) > 0.45 ? vec3(0.0) : on ? ink : ink * 0.04;
    }
    if (share.y < 0.0625) {                            // a box for each frame of a second
        float count = max(1.0, round(frames_per_s));
        return int(share.x * count) == frame_number % int(count) ? ink : ink * 0.04;
    }
    int longest = max(text_value(0, COUNT_CHARS), text_value(1, COUNT_CHARS));
    float leds_a_dot = max(dot_leds(wall_extent * vec2(0.9, 0.6), longest, 2, led_step), led_step);
    for (int row = 0; row < 2; ++row) {
        int chars = text_value(row, COUNT_CHARS);
        vec2 corner = 0.5 * wall_extent - vec2(float(chars * 6 - 1) * 0.5, row == 0 ? 8.5 : -1.5) * leds_a_dot;
        if (text_dot((wall_at - corner) / leds_a_dot, row, 0, chars)) return row == 0 ? ink : ink * vec3(1.0, 0.6, 0.1);
    }
    return ink * 0.01;
}

vec3 moving_bars() {
    float step_at = fract(float(frame_number % (2 * int(round(frames_per_s)))) / (2.0 * frames_per_s));
    vec2 begin = floor(wall_extent * step_at), wide = max(floor(wall_extent / 24.0), vec2(2.0 * led_step));
    vec2 from_bar = mod(wall_at - begin, wall_extent);
    bvec2 on = lessThan(from_bar, wide);
    return on.x ? ink : on.y ? ink * vec3(0.2, 0.5, 1.0) : vec3(0.0);
}

vec4 raw(float code) { return vec4(vec3(floor(code * code_step.x + 1e-3) / code_step.y), 1.0); }

// Fields in rows of eight with their values; in codes or in light.
vec4 told_fields(bool by_code) {
    int rows = (fields + 7) / 8;
    vec2 cell = wall_extent / vec2(8.0, float(rows));
    ivec2 at = min(ivec2(wall_at / cell), ivec2(7, rows - 1));
    int which = at.y * 8 + at.x;
    if (which >= fields) return by_code ? raw(512.0) : encoded(vec3(0.0));
    vec2 inside = wall_at - vec2(at) * cell;
    int chars = text_value(which, FIELD_CHARS);
    float leds_a_dot = dot_leds(cell * vec2(0.9, 0.35), FIELD_CHARS - 2, 1, led_step);
    vec2 dots = (inside - vec2(0.5 * (cell.x - float(chars * 6 - 1) * leds_a_dot), cell.y - 9.0 * leds_a_dot))
              / max(leds_a_dot, 1e-6);
    bool told = leds_a_dot > 0.0 && text_dot(dots, which, 0, chars);
    float value = field_value[which];
    if (by_code) return raw(told ? (value < 512.0 ? 400.0 : 500.0) : value);
    return encoded(vec3(told ? (value < 0.05 ? 0.2 : 0.0) : value));
}

// Bands of the same dark ramp in ever fewer bits.
vec4 bit_depth() {
    int band = clamp(int(4.0 * wall_at.y / wall_extent.y), 0, 3);
    int column = clamp(int(64.0 * wall_at.x / wall_extent.x), 0, 63);
    vec2 inside = wall_at - vec2(0.0, float(band) * 0.25 * wall_extent.y);
    int chars = text_value(band, FIELD_CHARS);
    float leds_a_dot = dot_leds(wall_extent * vec2(0.25, 0.1), chars, 1, led_step);
    bool told = leds_a_dot > 0.0 && text_dot(inside / leds_a_dot - 2.0, band, 0, chars);
    return raw(told ? 420.0 : float(200 + (column >> band << band)));
}

void main() {
#if KIND == 9
    colour = bit_depth();
#elif KIND == 10 || KIND == 11
    colour = told_fields(KIND == 10);
#else
    vec3 light = ink;
    bool drawn = true;
    vec2 t = at.xy / at.z;
    vec2 t_step = fwidth(t);
    vec2 wall_step = vec2(led_step);
#if KIND == 0                                          // inner_grid
        drawn = at.z > 0.0 && all(greaterThan(t, edge.xy)) && all(lessThan(t, edge.zw));
#if MESH
        drawn = drawn && facing > 0.0;
#endif
        vec2 middle = 0.5 * (frame.xy + frame.zw), half_frame = 0.5 * (frame.zw - frame.xy);
        vec2 f = (t - middle) / half_frame, f_step = t_step / half_frame;
        bool in_frame = all(lessThan(abs(f), vec2(1.0) + f_step));
        bool border = in_frame && (line_at(abs(f.x), 1.0, f_step.x) || line_at(abs(f.y), 1.0, f_step.y));
        bool cross_lines = in_frame && (line_at(f.x, 0.0, f_step.x) || line_at(f.y, 0.0, f_step.y));
        bool grid = in_frame && (lines_every(f.x, 0.25, f_step.x) || lines_every(f.y, 0.25, f_step.y));
        float radius = length(t - middle);
        bool ring = in_frame && line_at(radius, 0.9 * half_frame.y, max(t_step.x, t_step.y));
        bool rim = line_at(t.x, edge.x + t_step.x, t_step.x) || line_at(t.x, edge.z - t_step.x, t_step.x)
                || line_at(t.y, edge.y + t_step.y, t_step.y) || line_at(t.y, edge.w - t_step.y, t_step.y);
        drawn = drawn && (border || cross_lines || grid || ring || rim);
        light = border || cross_lines || ring ? ink : rim ? ink * vec3(1.0, 0.2, 0.1) : ink * 0.25;
#elif KIND == 1                        // eye_card: at is stage right, up, forward from the eye
        float pan = degrees(atan(at.x, at.z)), tilt = degrees(atan(at.y, length(at.xz)));
        float pan_step = min(fwidth(pan), 20.0), tilt_step = fwidth(tilt);
        bool ahead = line_at(pan, 0.0, pan_step), horizon = line_at(tilt, 0.0, tilt_step);
        bool tens = lines_every(pan, 10.0, pan_step) || lines_every(tilt, 10.0, tilt_step);
        drawn = ahead || horizon || tens;
        light = ahead ? ink * vec3(0.2, 1.0, 0.2) : horizon ? ink * vec3(1.0, 0.3, 0.2) : ink * 0.4;
#elif KIND == 2                        // tile_outlines
        drawn = outlines(light);
#elif KIND == 3                        // alignment_grid
        vec2 from_middle = wall_at - 0.5 * wall_extent;
        float period = min(wall_extent.x, wall_extent.y) / 8.0;
        bool axes = line_at(from_middle.x, 0.0, led_step) || line_at(from_middle.y, 0.0, led_step);
        bool grid = lines_every(from_middle.x, period, led_step) || lines_every(from_middle.y, period, led_step);
        bool ring = line_at(length(from_middle), 3.0 * period, led_step);
        vec2 to_end = 0.5 * wall_extent - abs(from_middle);
        bool border = min(to_end.x, to_end.y) < 1.5 * led_step;
        bool name = tile_name();
        drawn = axes || grid || ring || border || name;
        light = axes || ring ? ink : border ? ink * vec3(1.0, 0.2, 0.1) : name ? ink * vec3(0.2, 0.8, 0.9) : ink * 0.3;
#elif KIND == 5                        // ramp: white, red, green, blue, even steps of PQ up to the peak
        float share = wall_at.x / wall_extent.x;
        int band = int(4.0 * wall_at.y / wall_extent.y);
        float e = pow(share * roll_end.w, 32.0 / 2523.0);
        float y = pow(max(e - 0.8359375, 0.0) / (18.8515625 - 18.6875 * e), 16384.0 / 2610.0);
        light = 100.0 * y * (band == 0 ? vec3(1.0) : vec3(band == 1, band == 2, band == 3));
#elif KIND == 6
        light = cabinet_map();
#elif KIND == 7
        light = frame_count();
#elif KIND == 8
        light = moving_bars();
#elif KIND == 12
        ivec2 field = ivec2(floor(wall_at / max(leds, led_step)));
        light = ((field.x + field.y) & 1) == 0 ? ink : vec3(0.0);
#endif
    if (!drawn) discard;
    colour = encoded(light);
#endif
}
