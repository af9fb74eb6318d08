// One material, as renderer/materials.py packs it. A colour that something multiplies is linear Rec.709, as textures
// and vertex colours are, and becomes the working space's after; one that stands alone is in that already.
#if UV_COUNT > 0
#define UV_ROWS (2 * UV_COUNT)
#else
#define UV_ROWS 1
#endif

struct MaterialBlock {
    vec4 base;          // colour and alpha
    vec4 emissive;      // w: alpha cutoff
    vec4 factors;       // metallic, roughness, normal scale, occlusion strength
    vec4 specular;      // what it mirrors of each colour seen straight on, before its strength; w: strength
    vec4 coat;          // strength, roughness, normal scale
    vec4 sheen;         // colour; w: roughness
    vec4 glass;         // share let through, thickness in metres, index of refraction
    vec4 absorbed;      // of each colour a metre, natural logarithm
    vec4 uv_rows[UV_ROWS];  // two a kind of texture coordinates; w of the first: the vertex set
};

layout(std140, binding = 1) uniform Material {
    MaterialBlock material;
};

const mat3 WORKING = mat3(WORKING_FROM_REC709);
