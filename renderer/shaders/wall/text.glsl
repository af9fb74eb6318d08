// Texts of test pictures: glyphs of 5 x 7 dots in cells of 6 x 8, from rows of glyph numbers (renderer.pattern_text).

layout(binding = 1) uniform sampler2D atlas;
layout(binding = 2) uniform sampler2D text;

int text_value(int row, int column) { return int(texelFetch(text, ivec2(column, row), 0).r * 255.0 + 0.5); }

// Whether a dot of a text is lit: `dots` from its top left corner, signs `first` to `first + count` of a row.
bool text_dot(vec2 dots, int row, int first, int count) {
    ivec2 at = ivec2(floor(dots));
    if (dots.x < 0.0 || dots.y < 0.0 || at.x >= count * 6 || at.y >= 7 || at.x % 6 == 5) return false;
    int glyph = text_value(row, first + at.x / 6);
    return texelFetch(atlas, ivec2(glyph * 5 + at.x % 6, at.y), 0).r > 0.5;
}

// The largest whole number of LEDs a dot may be so that `count` signs in `lines` lines fit; 0: not even one.
float dot_leds(vec2 room, int count, int lines, float least) {
    float leds = floor(min(room.x / float(count * 6 + 2), room.y / float(lines * 8 + 2)));
    return leds < least ? 0.0 : leds;
}
