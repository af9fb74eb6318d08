// A camera as the stage's pictures need it: where it looks from, and how far its frame, what it may see by the photo and
// its inner picture reach. Tangents are of the frame without distortion; sides are left, right, top, bottom.

import type { Many } from "../../lib/live.svelte";
import { axes, type Axes, type Point } from "./rays";

export type Sides = [left: number, right: number, top: number, bottom: number];

export interface Optics extends Axes {
  pupil: Point;
  frame: Sides;
  /** All of the inner picture. */
  inner: Sides;
  /** What the camera may see by the photo, and what the inner picture holds at full strength. */
  seen: Sides;
  held: Sides;
  /** Photo pixels a radian, in the middle. */
  focalPx: number;
  /** Diameter of the blur of a point, photo pixels, is `blurPx * |1 - focus / distance|`; 0: focus is not known. */
  blurPx: number;
  focusM: number;
  walls: string[];
}

/** Causes of overscan that are real movement of the picture's edge; the others are choices. */
const MOVES = ["lens", "prediction", "hold"] as const;
const RAD = Math.PI / 180;

/** Sides moved outwards by degrees. */
const wider = (frame: Sides, deg: Sides): Sides => frame.map((tangent, i) => Math.tan(Math.min(1.5, Math.atan(tangent) + deg[i]! * RAD))) as Sides;

export const inside = ([l, r, t, b]: Sides, x: number, z: number): boolean => x > -l && x < r && z < t && z > -b;

/** The corners, from the upper left on clockwise: tangents to the right and up. */
export const corners = ([l, r, t, b]: Sides): [x: number, z: number][] => [[-l, t], [r, t], [r, -b], [-l, -b]];

export function optics(camera: Many["cameras"]): Optics {
  const lens = camera.lens;
  const [w, h, f] = [lens.sensor_width_mm * (lens.squeeze ?? 1), lens.sensor_height_mm, lens.focal_length_mm];
  const [dx, dy] = (lens.projection_offset_mm ?? [0, 0]) as [number, number];
  const frame: Sides = [(w / 2 + dx) / f, (w / 2 - dx) / f, (h / 2 + dy) / f, (h / 2 - dy) / f];
  const causes = (camera.overscan_causes_deg ?? {}) as Record<string, number>;
  const needDeg = MOVES.reduce((sum, cause) => sum + (causes[cause] ?? 0), 0);
  const over = camera.overscan_now_deg as Sides;
  const photoPx = camera.resolution_px[0] as number;
  const focusM = lens.focus_distance_m ?? 0;
  // A point's blur on the sensor: f^2 |d - s| / (N d (s - f)), s the focus distance, d the point's (thin lens).
  const blurMm = lens.f_stop && focusM * 1000 > f ? (f * f) / (lens.f_stop * (focusM * 1000 - f)) : 0;
  return {
    pupil: camera.pupil_m as Point, ...axes(camera.pan_deg, camera.tilt_deg, camera.roll_deg), frame,
    inner: wider(frame, over),
    seen: wider(frame, [needDeg, needDeg, needDeg, needDeg]),
    held: wider(frame, over.map((deg) => Math.max(0, deg - camera.soft_edge_deg)) as Sides),
    focalPx: (photoPx * f) / w, blurPx: (blurMm * photoPx) / w, focusM, walls: camera.walls,
  };
}
