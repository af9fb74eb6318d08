// One material, as renderer/materials.py packs it. A colour that something multiplies is linear Rec.709, as textures
// and vertex colours are, and becomes ACEScg after; one that stands alone is ACEScg already.
struct MaterialBlock {
    vec4 base;          // colour and alpha
    vec4 emissive;      // w: alpha cutoff
    vec4 factors;       // metallic, roughness, normal scale, occlusion strength
    vec4 uv_row0[5];    // texture coordinates wanted: first row; w: the vertex set
    vec4 uv_row1[5];
};

layout(std140, binding = 1) uniform Material {
    MaterialBlock material;
};

const mat3 WORKING = mat3(WORKING_FROM_REC709);
