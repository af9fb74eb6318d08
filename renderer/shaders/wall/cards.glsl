// Light cards and flags: flat shapes seen square from one point of the stage, worked out for each LED from where it is.
// A card's axes run from -1 to 1 from edge to edge, x to the right, y up (stage.plan_cards).

const int MOST = 32;
const int SHAPE_RECTANGLE = 0, SHAPE_ELLIPSE = 1;

struct Card {
    vec4 across, up, ahead;       // of a position: dot(.xyz, position) + .w; across and up in half sizes
    vec4 light;                   // rgb, opacity
    vec4 edge;                    // half width and half height as tangents, feather as one, stops at the gradient's end
    vec4 fade;                    // linear: direction x, y; 1 if linear; 1 if radial
    ivec4 what;                   // shape, 1 if a flag, corners, unused
};
layout(std140, binding = 1) uniform Cards {
    Card cards[MOST];
    vec4 corners[MOST * 6];       // two to a vec4, in tangents
};

uniform int card_count;
uniform ivec2 card_use[MOST];     // which card; layers it lies on: bit 0 the base, then the inner pictures above it

// Distance inside a polygon's edge in tangents, negative outside.
float polygon_inside(int first, int count, vec2 p) {
    vec2 before = (count & 1) == 1 ? corners[first + count / 2].xy : corners[first + count / 2 - 1].zw;
    float nearest = 1e12;
    bool inside = false;
    for (int i = 0; i < count; ++i) {
        vec2 here = (i & 1) == 0 ? corners[first + i / 2].xy : corners[first + i / 2].zw;
        vec2 side = before - here, to = p - here;
        vec2 off = to - side * clamp(dot(to, side) / max(dot(side, side), 1e-20), 0.0, 1.0);
        nearest = min(nearest, dot(off, off));
        if ((here.y > p.y) != (before.y > p.y) && p.x < side.x * (p.y - here.y) / side.y + here.x) inside = !inside;
        before = here;
    }
    return inside ? sqrt(nearest) : -sqrt(nearest);
}

// How far a card covers a position, 0 to 1, and what it shows there.
float card_at(int number, vec3 position, out vec3 light) {
    Card card = cards[number];
    float z = dot(card.ahead.xyz, position) + card.ahead.w;
    vec2 at = vec2(dot(card.across.xyz, position) + card.across.w, dot(card.up.xyz, position) + card.up.w) / z;
    vec2 tangent = at * card.edge.xy;
    float inside;
    if (card.what.x == SHAPE_RECTANGLE) {
        vec2 to_edge = card.edge.xy - abs(tangent);
        inside = min(to_edge.x, to_edge.y);
    } else if (card.what.x == SHAPE_ELLIPSE) {
        float radius = length(at);
        inside = radius * (1.0 - radius) / max(length(at / card.edge.xy), 1e-9);
        inside = radius < 1e-6 ? min(card.edge.x, card.edge.y) : inside;
    } else {
        inside = polygon_inside(number * 6, card.what.z, tangent);
    }
    // A sharp edge is as wide as one LED is seen, and in the middle of that; a feather lies inside the edge.
    float led = max(length(vec2(dFdx(inside), dFdy(inside))), 1e-9);
    float cover = clamp((inside + 0.5 * led) / (card.edge.z + led), 0.0, 1.0);
    cover = card.edge.z > 0.0 ? cover * cover * (3.0 - 2.0 * cover) : cover;
    float along = card.fade.z * clamp(0.5 + 0.5 * dot(at, card.fade.xy), 0.0, 1.0)
                + card.fade.w * min(length(at), 1.0);
    light = card.light.rgb * exp2(card.edge.w * along);
    return z > 0.0 ? cover * card.light.a : 0.0;
}
