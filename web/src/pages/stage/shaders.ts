// A canvas' codes as light, then as this screen shows it; or one of the maps in its place (formulas: heat.ts).

export const VERTEX = `
attribute vec3 stage;
attribute float pitch;
attribute float mine;
varying vec2 vUv;
varying vec3 vStage;
varying float vPitch;
varying float vMine;
void main() {
  vUv = uv;
  vStage = stage;
  vPitch = pitch;
  vMine = mine;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const LIGHT = `
uniform sampler2D picture;
uniform vec4 tone;         // colour of a canvas that is in trouble, and how much of it
uniform int transfer;      // 0 gamma, 1 PQ
uniform float gammaValue;
uniform float peakNits;
uniform int narrow;
uniform float whiteNits;
varying vec2 vUv;
#ifdef READY               // the picture was made ready for this screen before it came here
vec3 screen() {
  return mix(texture2D(picture, vUv).rgb, tone.rgb, tone.a);
}
#else
vec3 pq(vec3 e) {
  vec3 p = pow(max(e, 0.0), vec3(1.0 / 78.84375));
  return 10000.0 * pow(max(p - 0.8359375, 0.0) / (18.8515625 - 18.6875 * p), vec3(1.0 / 0.1593017578125));
}
vec3 srgb(vec3 l) {
  return mix(12.92 * l, 1.055 * pow(max(l, 0.0), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, l));
}
vec3 screen() {
  vec3 code = texture2D(picture, vUv).rgb;
  if (narrow == 1) code = (code * 255.0 - 16.0) / 219.0;
  vec3 nits = transfer == 1 ? pq(code) : peakNits * pow(max(code, 0.0), vec3(gammaValue));
  vec3 light = min(nits, peakNits) / whiteNits;
  light = light / (1.0 + 0.35 * light);
  return mix(srgb(light * 1.2), tone.rgb, tone.a);
}
#endif`;

export const FRAGMENT = `${LIGHT}
void main() { gl_FragColor = vec4(screen(), 1.0); }`;

export const HEAT_FRAGMENT = `${LIGHT}
uniform int heat;          // 1 density, 2 moire, 3 cover
uniform vec3 eye;
uniform vec3 toRight;
uniform vec3 toFront;
uniform vec3 toUp;
uniform float focalPx;
uniform float blurPx;
uniform float focusM;
uniform vec4 seen;
uniform vec4 held;
varying vec3 vStage;
varying float vPitch;
varying float vMine;
const vec3 FINE = vec3(0.16, 0.55, 0.42);
const vec3 NEAR = vec3(0.93, 0.76, 0.30);
const vec3 COARSE = vec3(0.86, 0.30, 0.24);
const vec3 AWAY = vec3(0.62, 0.42, 0.86);
float beat(float f, float blur) {
  if (f < 0.25) return 0.0;
  float s = sin(3.14159265 * f) / (3.14159265 * f);
  float x = 3.14159265 * f * blur;
  return abs(s) * exp(-x * x / 8.0);
}
bool inside(vec2 at, vec4 sides) {
  return at.x > -sides.x && at.x < sides.y && at.y < sides.z && at.y > -sides.w;
}
void main() {
  vec3 shown = screen();
  vec3 normal = normalize(cross(dFdx(vStage), dFdy(vStage)));
  vec3 way = vStage - eye;
  float away = max(length(way), 0.01);
  float depth = dot(way, toFront);
  float slant = clamp(abs(dot(normal, way / away)), 0.05, 1.0);
  float along = focalPx * vPitch / max(depth, 0.01);
  vec2 at = depth > 0.0 ? vec2(dot(way, toRight), dot(way, toUp)) / depth : vec2(1e6);
  bool mayBeSeen = inside(at, seen);
  vec3 map = shown * 0.35;
  if (heat == 1 && depth > 0.0) {
    float q = along * slant;
    map = q < 1.0 ? FINE : q < 2.5 ? mix(FINE, NEAR, (q - 1.0) / 1.5) : mix(NEAR, COARSE, clamp((q - 2.5) / 3.5, 0.0, 1.0));
    if (!mayBeSeen) map = mix(map, shown, 0.72);
  } else if (heat == 2 && mayBeSeen) {
    float blur = blurPx * abs(1.0 - focusM / max(depth, 0.01));
    float c = max(beat(1.0 / along, blur), beat(1.0 / (along * slant), blur));
    map = c < 0.05 ? FINE : c < 0.2 ? mix(FINE, NEAR, (c - 0.05) / 0.15) : mix(NEAR, COARSE, clamp((c - 0.2) / 0.3, 0.0, 1.0));
  } else if (heat == 3 && mayBeSeen) {
    map = vMine < 0.5 ? AWAY : inside(at, held) ? FINE : COARSE;
  }
  gl_FragColor = vec4(mix(map, shown, 0.2), 1.0);
}`;
