// A canvas' codes as light, then as this screen shows it; or the density map in its place.

export const VERTEX = `
attribute vec3 stage;
attribute float pitch;
varying vec2 vUv;
varying vec3 vStage;
varying float vPitch;
void main() {
  vUv = uv;
  vStage = stage;
  vPitch = pitch;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

export const FRAGMENT = `
uniform sampler2D picture;
uniform float lit;
uniform int transfer;      // 0 gamma, 1 PQ
uniform float gammaValue;
uniform float peakNits;
uniform int narrow;
uniform float whiteNits;
uniform int heat;
uniform vec3 eye;
uniform float focalPx;
varying vec2 vUv;
varying vec3 vStage;
varying float vPitch;

vec3 pq(vec3 e) {
  vec3 p = pow(max(e, 0.0), vec3(1.0 / 78.84375));
  return 10000.0 * pow(max(p - 0.8359375, 0.0) / (18.8515625 - 18.6875 * p), vec3(1.0 / 0.1593017578125));
}
vec3 srgb(vec3 l) {
  return mix(12.92 * l, 1.055 * pow(max(l, 0.0), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, l));
}
vec3 ramp(float q) {
  // Below one photo pixel an LED cannot be seen; at two to four the two grids beat; above it is a picture of LEDs.
  vec3 fine = vec3(0.16, 0.55, 0.42);
  vec3 near = vec3(0.93, 0.76, 0.30);
  vec3 coarse = vec3(0.86, 0.30, 0.24);
  return q < 1.0 ? fine : q < 2.5 ? mix(fine, near, (q - 1.0) / 1.5) : mix(near, coarse, clamp((q - 2.5) / 3.5, 0.0, 1.0));
}
void main() {
  vec3 normal = normalize(cross(dFdx(vStage), dFdy(vStage)));
  vec3 code = texture2D(picture, vUv).rgb;
  if (narrow == 1) code = (code * 255.0 - 16.0) / 219.0;
  vec3 nits = transfer == 1 ? pq(code) : peakNits * pow(max(code, 0.0), vec3(gammaValue));
  vec3 light = min(nits, peakNits) / whiteNits;
  light = light / (1.0 + 0.35 * light);
  vec3 shown = srgb(light * 1.2) * lit;
  if (heat == 1) {
    vec3 way = vStage - eye;
    float away = length(way);
    float q = focalPx * vPitch / max(away, 0.01) * clamp(abs(dot(normal, way / away)), 0.05, 1.0);
    shown = mix(ramp(q), shown, 0.25);
  }
  gl_FragColor = vec4(shown, 1.0);
}`;
