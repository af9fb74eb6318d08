// Light from a metallic-roughness surface under the dome or ambient and any number of lights (GGX). Needs `sh` and,
// with REFLECTIONS, `dome_turn` and the map; with SUN, `sun_direction` and `sun_light`; with SHADOW, `sun_seen`.
// SPECULAR, COAT, SHEEN and GLASS are the layers of glTF's material extensions; a surface without them has none of it.
// A rough dielectric (MATT) mirrors so little, and so blurred, that the light it stands in serves as its mirror image.
// A surface that is no metal anywhere (DIELECTRIC) mirrors all colours alike: its terms are single numbers.
#ifndef MATT
#define MATT 0
#endif
#if DIELECTRIC
#define MIRRORED float
#define LARGEST(v) (v)
#else
#define MIRRORED vec3
#define LARGEST(v) max(max((v).r, (v).g), (v).b)
#endif

struct Surface {
    vec3 n;             // unit normal, on the viewer's side
    vec3 v;             // unit, to the eye
    float n_v;
    vec3 diffuse;       // what the matt part throws back
    MIRRORED f0;        // what it mirrors seen straight on
    float roughness;    // as artists give it; the lobe's alpha is its square
    float occlusion;    // share of the dome it sees
#if SPECULAR
    float f90;          // what it mirrors at a grazing angle
    float beneath;      // light of one direction that gets to the matt part
#endif
#if COAT
    vec3 coat_n;
    float coat;         // strength
    float coat_roughness;
    float coat_n_v;
    float coat_passes;  // what the coat leaves of what is beneath it
#endif
#if SHEEN
    vec3 sheen;
    float sheen_roughness;
    float sheen_most;   // its largest colour
    float sheen_seen;   // its albedo from where the eye is
#endif
#if GLASS
    vec3 through;       // share of the light behind that goes through, if nothing is mirrored
    float through_rough; // how rough the surface is to what goes through it
#endif
};

#if SPECULAR
#define F90(s) (s).f90
#define BENEATH(s) (s).beneath
#else
#define F90(s) 1.0
#define BENEATH(s) 0.96
#endif

#if SHEEN
// Albedo of the sheen's lobe (Charlie's distribution, Neubelt's visibility) by the cosine to the eye: a fit of its
// integral, 0.012 off in the mean.
float sheen_albedo(float cosine, float roughness) {
    float r = max(roughness, 0.1), c = cosine;
    float e = 0.5712 - 0.0411 * c + 0.0415 * c * c + (1.1897 * r - 2.386) * r + (0.0926 - 1.3675 * c) / r;
    return min(exp(e), 1.0);
}
#endif

Surface surface(vec3 albedo, float metallic, float roughness, float occlusion, vec3 n, vec3 v) {
    Surface s;
    s.n = n;
    s.v = v;
    s.n_v = max(dot(n, v), 1e-4);
#if DIELECTRIC
    s.diffuse = albedo;
    s.f0 = 0.04;
#else
    s.diffuse = albedo * (1.0 - metallic);
    s.f0 = mix(vec3(0.04), albedo, metallic);
#endif
    s.roughness = roughness;
    s.occlusion = occlusion;
    return s;
}

#if DOME_KEY
// The dome's own sun (its direction, and what a white matt surface that faces it shows of it), which nine harmonics and
// a blurred picture would smear.
#define KEY_DIRECTION vec3(sh[0].w, sh[1].w, sh[2].w)
#define KEY_LIGHT vec3(sh[3].w, sh[4].w, sh[5].w)
#endif

// The dome's light, without its own sun's, on a white matt surface of normal `n`.
vec3 soft_irradiance(vec3 n) {
    vec3 sum = sh[0].rgb;
#if DOME_LIGHT
    sum += sh[1].rgb * n.y + sh[2].rgb * n.z + sh[3].rgb * n.x
        + sh[4].rgb * (n.x * n.y) + sh[5].rgb * (n.y * n.z) + sh[6].rgb * (3.0 * n.z * n.z - 1.0)
        + sh[7].rgb * (n.x * n.z) + sh[8].rgb * (n.x * n.x - n.y * n.y);
    sum = max(sum, vec3(0.0));
#endif
    return sum;
}

#if REFLECTIONS
// The dome blurred as a surface of that roughness mirrors it. `r` need not be of unit length.
vec3 dome_along(vec3 r, float roughness) {
    vec3 in_dome = vec3(r.x * dome_turn.x + r.y * dome_turn.y, r.y * dome_turn.x - r.x * dome_turn.y, r.z);
    const float L = float(ROUGHNESS_LEVELS);
    const float S = float(OCTAHEDRON_PX);
    vec3 at = vec3(0.5 + octahedron_from_direction(in_dome) * (0.5 * (S - 1.0) / S), (roughness * (L - 1.0) + 0.5) / L);
    return textureLod(reflections, at, 0.0).rgb * dome_turn.z;
}
#endif

#if REFLECTIONS
// What a surface mirrors of the dome. The lobe of a rough one is longer than it is wide, bent towards the normal and cut
// off by the horizon: a round one, narrower and leaning (by `lean` of the way to the normal), and for the rest the even
// light `soft` from all round are nearest to it (fitted to the lobe itself, for all roughnesses and angles).
// `of_key` is the share of the dome's own sun that is not in it: the map holds it up to a roughness of 1/7.
vec3 mirrored_dome(vec3 n, vec3 v, float c, float r, vec3 soft, out float of_key) {
    float r2 = r * r;
    float lean = r2 * (1.709 + 0.487 * r - 3.632 * c + 3.962 * r * c - 2.356 * r2);
    float round_share = 1.0 - r2 * (0.616 + 2.328 * r - 2.018 * c + 2.084 * r * c - 2.053 * r2);
    float width = clamp(r * (1.007 - 1.221 * r + 0.274 * c + 0.324 * r * c + 0.795 * r2), 0.0, 1.0);
    round_share = min(round_share, 1.0);
    of_key = 1.0 - round_share * clamp(2.0 - 7.0 * width, 0.0, 1.0);
    return mix(soft, dome_along(mix(reflect(-v, n), n, clamp(lean, 0.0, 1.0)), width), round_share);
}
#endif

#if REFLECTIONS && DOME_KEY
// What a surface mirrors of the dome's own sun, times `light`: the GGX lobe itself (its D V pi, with Smith's term).
float mirrored_key(vec3 n, vec3 v, float n_v, float roughness, out float fresnel) {
    vec3 h = normalize(v + KEY_DIRECTION);
    float n_l = max(dot(n, KEY_DIRECTION), 0.0), n_h = max(dot(n, h), 0.0), v_h = max(dot(v, h), 0.0);
    float a2 = roughness * roughness * roughness * roughness;
    float d = n_h * n_h * (a2 - 1.0) + 1.0;
    fresnel = exp2((-5.55473 * v_h - 6.98316) * v_h);
    float smith = n_l * sqrt(n_v * n_v * (1.0 - a2) + a2) + n_v * sqrt(n_l * n_l * (1.0 - a2) + a2);
    return n_l * a2 * 0.5 / max(d * d * smith, 1e-7);
}
#endif

// How much of an even dome a GGX surface with correlated Smith shadowing mirrors: fits of the integrals, 0.02 off in the
// mean. What only grazing light adds (of Fresnel's 1 - f0), by roughness and cosine:
float mirrored_edge(float r, float c) {
    return exp2(((14.5375 - 16.23 * r) * r - 5.9747 - 9.0871 * c) * c) * ((1.4874 * r - 2.4377) * r + 1.0441);
}

// and a surface that mirrors all light (f0 = 1); the rest is what bounces on inside the rough surface.
float mirrored_white(float r, float c) {
    float a = r * r;
    return 1.0 - a * (0.1276 + 1.2934 * r + (0.2835 * r - 0.4950) * c) * c / (c + a * max(0.9653 * r - 0.2411, 0.0));
}

// The same of a dielectric (f0 = 0.04), for which less will do.
float mirrored_by_dielectric(float r, float c) {
    return 0.96 * mirrored_edge(r, c) + 0.04 - r * r * (0.0154 + 0.0125 * c);
}

// Of any surface: what it mirrors at once, and after bouncing more than once in it (after Fdez-Aguera): white stays
// white. Of the little a dielectric mirrors, the second part is nothing.
void mirrored(Surface s, out MIRRORED once, out MIRRORED more) {
#if DIELECTRIC
    once = mirrored_by_dielectric(s.roughness, s.n_v);
    more = 0.0;
#else
    float white = mirrored_white(s.roughness, s.n_v);
    float edge = mirrored_edge(s.roughness, s.n_v);
    once = s.f0 * (white - edge) + F90(s) * edge;
    float lost = 1.0 - white;
    vec3 mean = s.f0 + (F90(s) - s.f0) * (1.0 / 21.0);
    more = once * mean / (1.0 - lost * mean) * lost;
#endif
}

// The light of the dome and the ambient that it sends to the eye.
vec3 image_light(Surface s) {
    vec3 soft = soft_irradiance(s.n);
    vec3 irradiance = soft;
#if DOME_KEY
    irradiance += KEY_LIGHT * max(dot(s.n, KEY_DIRECTION), 0.0);
#endif
    MIRRORED once, more;
    mirrored(s, once, more);
#if REFLECTIONS && !MATT
    float of_key;
    vec3 reflected = mirrored_dome(s.n, s.v, s.n_v, s.roughness, soft, of_key) * once;
#if DOME_KEY
    float fresnel;
    float key = mirrored_key(s.n, s.v, s.n_v, s.roughness, fresnel) * of_key;
    reflected += KEY_LIGHT * (key * (s.f0 + (F90(s) - s.f0) * fresnel));
#endif
#else
    vec3 reflected = irradiance * once;
#endif
    float kept = 1.0 - LARGEST(once + more);
#if OCCLUDED || OCCLUSION
    // What a hollow mirrors is hidden like its matt light; of a smooth one less straight on and more at the rim (a line
    // through Lagarde's rule, which needs two exponentials).
    float open = max(s.occlusion + (1.0 - s.occlusion) * max(1.0 - 4.0 * s.roughness, 0.0) * (s.n_v - 0.56), 0.0);
    vec3 light = reflected * open + irradiance * ((more + s.diffuse * kept) * s.occlusion);
#else
    vec3 light = reflected + irradiance * (more + s.diffuse * kept);
#endif
#if SHEEN
    light = light * (1.0 - s.sheen_most * s.sheen_seen) + irradiance * s.sheen * (s.sheen_seen * s.occlusion);
#endif
#if COAT
#if REFLECTIONS
    float of_coat_key;
    vec3 on_coat = mirrored_dome(s.coat_n, s.v, s.coat_n_v, s.coat_roughness, soft, of_coat_key);
#else
    vec3 on_coat = irradiance;
#endif
    on_coat *= mirrored_by_dielectric(s.coat_roughness, s.coat_n_v);
#if REFLECTIONS && DOME_KEY
    float coat_fresnel;
    float coat_key = mirrored_key(s.coat_n, s.v, s.coat_n_v, s.coat_roughness, coat_fresnel) * of_coat_key;
    on_coat += KEY_LIGHT * (coat_key * (0.04 + 0.96 * coat_fresnel));
#endif
    light = light * s.coat_passes + on_coat * (s.coat * s.occlusion);
#endif
    return light;
}

// D * V * pi of the GGX lobe, with Hammon's fit of the correlated Smith term.
float lobe(float n_h, float n_l, float n_v, float roughness) {
    float a = roughness * roughness;
    float a2 = a * a;
    float d = n_h * n_h * (a2 - 1.0) + 1.0;
    return a2 * 0.5 / (d * d * mix(2.0 * n_l * n_v, n_l + n_v, a));
}

// What it sends to the eye of the light of one direction. `to_light` is a unit vector with dot(s.n, to_light) > 0;
// `light` is the light's illuminance on a surface that faces it, over pi: what a white matt one shows there.
vec3 direct(Surface s, vec3 to_light, vec3 light) {
    float n_l = dot(s.n, to_light);
    vec3 h = normalize(s.v + to_light);
    float n_h = max(dot(s.n, h), 0.0);
    float v_h = max(dot(s.v, h), 0.0);
    float spec = lobe(n_h, n_l, s.n_v, s.roughness);
    float f = exp2((-5.55473 * v_h - 6.98316) * v_h);
    MIRRORED mirror = s.f0 + (F90(s) - s.f0) * f;
#if !DIELECTRIC
    // Of a rough metal, what bounces on in it comes back too (after Turquin).
    mirror *= 1.0 + s.f0 * (1.0 / mirrored_white(s.roughness, s.n_v) - 1.0);
#endif
    vec3 share = s.diffuse * BENEATH(s) + spec * mirror;
#if SHEEN
    float alpha = max(s.sheen_roughness * s.sheen_roughness, 0.01);
    float sheen_d = (1.0 + 0.5 / alpha) * pow(max(1.0 - n_h * n_h, 0.0), 0.5 / alpha);
    float covered = s.sheen_most * max(s.sheen_seen, sheen_albedo(n_l, s.sheen_roughness));
    share = share * (1.0 - covered) + s.sheen * (sheen_d * 0.25 / (n_l + s.n_v - n_l * s.n_v));
#endif
#if COAT
    float coat_n_l = max(dot(s.coat_n, to_light), 0.0);
    float coat_spec = lobe(max(dot(s.coat_n, h), 0.0), max(coat_n_l, 1e-4), s.coat_n_v, s.coat_roughness);
    return light * (share * (n_l * s.coat_passes) + coat_n_l * coat_spec * s.coat * (0.04 + 0.96 * f));
#else
    return light * n_l * share;
#endif
}

#if GLASS
// What comes through it of the light of one direction behind it (dot(s.n, to_light) < 0): the lobe of the light's mirror
// image, coloured; the ray is not bent. A smooth pane shows a lamp behind it as a small highlight, a frosted one glows.
vec3 from_behind(Surface s, vec3 to_light, vec3 light) {
    vec3 l = to_light - 2.0 * dot(s.n, to_light) * s.n;
    vec3 h = normalize(s.v + l);
    float v_h = max(dot(s.v, h), 0.0);
    float n_l = dot(s.n, l);
    MIRRORED mirror = s.f0 + (F90(s) - s.f0) * exp2((-5.55473 * v_h - 6.98316) * v_h);
    return light * s.through * (n_l * lobe(max(dot(s.n, h), 0.0), n_l, s.n_v, s.through_rough) * (1.0 - LARGEST(mirror)));
}
#endif

#if LAMPS
#include "scene/lights.glsl"
#endif

// All light that it sends to the eye.
vec3 lit(Surface s) {
    vec3 light = image_light(s);
#if SUN
    if (dot(s.n, sun_direction.xyz) > 0.0) {
#if SHADOW
        light += direct(s, sun_direction.xyz, sun_light.rgb * sun_seen());
#else
        light += direct(s, sun_direction.xyz, sun_light.rgb);
#endif
    }
#if GLASS
    else {
#if SHADOW
        light += from_behind(s, sun_direction.xyz, sun_light.rgb * sun_seen());
#else
        light += from_behind(s, sun_direction.xyz, sun_light.rgb);
#endif
    }
#endif
#endif
#if LAMPS
    light += lamp_lights(s);
#endif
    return light;
}
