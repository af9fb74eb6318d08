// What glTF's material extensions add to a surface: read from the material and its textures into the struct of
// lit.glsl; and the light that goes through glass.
#if TANGENTS
// The normal of a normal map's texel.
vec3 bent(vec3 texel, float strength, vec3 t, vec3 b, vec3 n) {
    vec3 bump = texel * 2.0 - 1.0;
    bump.xy *= strength;
    return normalize(t * bump.x + b * bump.y + n * bump.z);
}

// How rough a patch of bumps looks from so far that one texel of a smaller copy is their mean: that is shorter the more
// they differ (Toksvig). As the square of GGX's alpha; nothing for lengths that rounding explains.
float roughness_of_bumps(vec3 texel, float strength) {
    float mean = min(length(texel * 2.0 - 1.0), 1.0);
    float lost = max(0.0, 0.985 - mean);
    return 2.0 * strength * strength * lost / max(mean, 0.2);
}
#endif

#if SPECULAR
// KHR_materials_specular and _ior: what the dielectric part mirrors.
void add_specular(inout Surface s, vec3 albedo, float metallic) {
    float strength = material.specular.w;
#ifdef SPECULAR_UV
    strength *= texture(specular_texture, v_uv[SPECULAR_UV]).a;
#endif
    vec3 f0 = material.specular.rgb;
#ifdef SPECULAR_COLOUR_UV
    f0 = WORKING * (f0 * texture(specular_colour_texture, v_uv[SPECULAR_COLOUR_UV]).rgb);
#endif
    f0 = min(f0, vec3(1.0)) * strength;
    s.beneath = 1.0 - LARGEST(f0);
    s.f0 = mix(f0, albedo, metallic);
    s.f90 = mix(strength, 1.0, metallic);
}
#endif

#if SHEEN
// KHR_materials_sheen: fibres that light up at grazing angles.
void add_sheen(inout Surface s) {
#ifdef SHEEN_UV
    s.sheen = WORKING * (material.sheen.rgb * texture(sheen_texture, v_uv[SHEEN_UV]).rgb);
#else
    s.sheen = material.sheen.rgb;
#endif
    s.sheen_roughness = material.sheen.w;
#ifdef SHEEN_ROUGH_UV
    s.sheen_roughness *= texture(sheen_rough_texture, v_uv[SHEEN_ROUGH_UV]).a;
#endif
    s.sheen_most = max(max(s.sheen.r, s.sheen.g), s.sheen.b);
    s.sheen_seen = sheen_albedo(s.n_v, s.sheen_roughness);
}
#endif

#if COAT
// KHR_materials_clearcoat: a clear layer of index 1.5 over all the rest.
void add_coat(inout Surface s, vec3 n, float widened) {
    s.coat_n = n;
    s.coat = material.coat.x;
#ifdef COAT_UV
    s.coat *= texture(coat_texture, v_uv[COAT_UV]).r;
#endif
    float roughness = material.coat.y;
#ifdef COAT_ROUGH_UV
    roughness *= texture(coat_rough_texture, v_uv[COAT_ROUGH_UV]).g;
#endif
    s.coat_roughness = clamp(max(roughness, 0.0525) + widened, 0.0525, 1.0);
    s.coat_n_v = max(dot(n, s.v), 1e-4);
    float f = 0.04 + 0.96 * exp2((-5.55473 * s.coat_n_v - 6.98316) * s.coat_n_v);
    s.coat_passes = 1.0 - s.coat * f;
}
#endif

#if GLASS
// KHR_materials_transmission: the share of the light that would meet the matt part goes through instead, dimmed by the
// way inside (KHR_materials_volume, Beer's law).
void add_glass(inout Surface s) {
    float share = material.glass.x;
#ifdef GLASS_UV
    share *= texture(glass_texture, v_uv[GLASS_UV]).r;
#endif
    s.through = s.diffuse * share;
    s.diffuse *= 1.0 - share;
#if VOLUME
    float way = material.glass.y * v_thickness_scale;
#ifdef THICKNESS_UV
    way *= texture(thickness_texture, v_uv[THICKNESS_UV]).g;
#endif
    s.through *= exp(-material.absorbed.rgb * way);
#endif
    // Glass of the air's index blurs nothing, however rough.
    s.through_rough = max(s.roughness * clamp(material.glass.z * 2.0 - 2.0, 0.0, 1.0), 0.0525);
}

// Light through it, tinted, and without what is mirrored.
// `passing` is the share of what is behind the surface in the picture; the rest is the dome along the bent ray, as
// blurred as the surface is rough. The more the ray is bent or blurred, the less of what is straight behind is shown:
// a picture of it taken earlier would have an edge, and views must not depend on where theirs lie.
vec3 through_glass(Surface s, out vec3 passing) {
    MIRRORED once, more;
    mirrored(s, once, more);
    vec3 tint = s.through * max(1.0 - LARGEST(once + more), 0.0);
#if SHEEN
    tint *= 1.0 - s.sheen_most * s.sheen_seen;
#endif
#if COAT
    tint *= s.coat_passes;
#endif
    float rough = s.roughness * clamp(material.glass.z * 2.0 - 2.0, 0.0, 1.0);
    vec3 ray = -s.v;
    float straight = 1.0;
#if VOLUME
    ray = refract(-s.v, s.n, 1.0 / max(material.glass.z, 1.0));
    straight = 1.0 - smoothstep(0.05, 0.4, length(ray + s.v));
#endif
#if REFLECTIONS
    float seen = straight * (1.0 - rough) * (1.0 - rough);
    passing = tint * seen;
    vec3 world = dome_along(ray, rough);
#if DOME_KEY
    // The map holds the dome's own sun up to a roughness of 1/7: here its lobe, over what that weighs in all.
    float cosine = max(dot(ray, KEY_DIRECTION), 0.0);
    float a2 = max(rough * rough * rough * rough, 1e-4);
    float d = 0.5 * (1.0 + cosine) * (a2 - 1.0) + 1.0;
    float share = clamp(7.0 * rough - 1.0, 0.0, 1.0) * exp2((2.464 * rough - 0.423) * rough - 2.0);
    world += KEY_LIGHT * (share * cosine * a2 / (d * d));
#endif
    return world * tint * (1.0 - seen);
#else
    passing = tint;
    return vec3(0.0);
#endif
}
#endif
