// From how far, and past which point, walls are seen whole and as large as a picture can hold them.

import type { Surface } from "./geometry";
import { along, axes, dot, type Point } from "./rays";

const DEG = 180 / Math.PI;
/** Of the picture's half: what stays free about the walls. */
const AIR = 0.05;

export interface Framing {
  fovDeg: number;
  /** Width over height. */
  shape: number;
  /** Share of the height at the top that something else covers. */
  above: number;
}

/** `back` leads from what is looked at to who looks. The eye stands `distance` along it from `target`. */
export function framed(surfaces: Surface[], back: Point, { fovDeg, shape, above }: Framing): { target: Point; distance: number } {
  const long = Math.hypot(...back);
  // The view's own axes: it looks along `forward`, so what lies nearer has the greater `near` below.
  const { right, forward, up } = axes(Math.atan2(back[0], -back[1]) * DEG, -Math.asin(back[2] / long) * DEG, 0);
  const half = Math.tan(fovDeg / 2 / DEG);
  const [side, top, bottom] = [half * shape * (1 - AIR), half * (1 - 2 * above - AIR), half * (1 - AIR)];
  // For an eye at a, b and `distance` in those axes, |x - a| <= (distance - near) * side, and so for heights.
  let [l, r, t, b] = [-Infinity, -Infinity, -Infinity, -Infinity];
  for (const { stage: at } of surfaces) {
    for (let i = 0; i < at.length; i += 3) {
      const point: Point = [at[i]!, at[i + 1]!, at[i + 2]!];
      const [x, near, z] = [dot(point, right), -dot(point, forward), dot(point, up)];
      r = Math.max(r, x + side * near);
      l = Math.max(l, -x + side * near);
      t = Math.max(t, z + top * near);
      b = Math.max(b, -z + bottom * near);
    }
  }
  const far = Math.max((l + r) / (2 * side), (t + b) / (top + bottom));
  const [across, high] = [(r - l) / 2, (t - top * far + bottom * far - b) / 2];
  const eye = along(along(along([0, 0, 0], right, across), up, high), forward, -far);
  // About the walls' middle the view turns.
  const middle = dot(mean(surfaces), forward);
  return { target: along(eye, forward, middle + far), distance: middle + far };
}

function mean(surfaces: Surface[]): Point {
  const sum: Point = [0, 0, 0];
  let count = 0;
  for (const { stage: at } of surfaces) {
    for (let i = 0; i < at.length; i++) sum[i % 3]! += at[i]!;
    count += at.length / 3;
  }
  return sum.map((one) => one / (count || 1)) as Point;
}
