// What may go wrong in a camera's picture, worked out for any point of the walls: how dense the LEDs are in it, how
// strongly the LED grid may beat with the sensor's, and what the inner picture does not cover. The shader works it out
// for every pixel of the view by the same formulas; docs/operator.md tells them and where they come from.

import type { Many } from "../../lib/live.svelte";
import { axes, hit, type Point, type Surface } from "./geometry";

export type Heat = "off" | "density" | "moire" | "cover";
export const HEATS: Heat[] = ["off", "density", "moire", "cover"];
const RAD = Math.PI / 180;
/** Causes of overscan that are real movement of the picture's edge; the others are choices. */
const MOVES = ["lens", "prediction", "hold"] as const;

/** A camera as the maps need it. Tangents are of the frame without distortion, sides left, right, top, bottom. */
export interface Optics {
  pupil: Point;
  right: Point;
  forward: Point;
  up: Point;
  frame: [number, number, number, number];
  /** Tangents of what it may see by the photo, and of what the inner picture holds at full strength. */
  seen: [number, number, number, number];
  held: [number, number, number, number];
  /** Photo pixels a radian, in the middle. */
  focalPx: number;
  /** Diameter of the blur of a point, photo pixels, is `blurPx * |1 - focus / distance|`; 0: focus is not known. */
  blurPx: number;
  focusM: number;
  walls: string[];
  needDeg: number;
}

type Sides = [number, number, number, number];

/** Sides moved outwards by degrees. */
const wider = (frame: Sides, deg: Sides): Sides => frame.map((tangent, i) => Math.tan(Math.min(1.5, Math.atan(tangent) + deg[i]! * RAD))) as Sides;

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
    seen: wider(frame, [needDeg, needDeg, needDeg, needDeg]),
    held: wider(frame, over.map((deg) => Math.max(0, deg - camera.soft_edge_deg)) as Sides),
    focalPx: (photoPx * f) / w, blurPx: (blurMm * photoPx) / w, focusM, walls: camera.walls, needDeg,
  };
}

const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const sinc = (x: number): number => (Math.abs(x) < 1e-6 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Contrast, 0 to 1, that is left of an LED grid of `f` cycles a photo pixel and can turn up as a false pattern. */
export function beat(f: number, blurPx: number): number {
  if (f < 0.25) return 0; // each colour's photosites, two pixels apart, still tell the LEDs from each other
  const x = Math.PI * f * blurPx;
  return Math.abs(sinc(f)) * Math.exp((-x * x) / 8);
}

export interface Told {
  distanceM: number;
  /** Photo pixels from one LED to the next, along the tighter direction. */
  pxPerLed: number;
  blurPx: number;
  contrast: number;
  /** Where it lies for the inner picture. */
  cover: "away" | "covered" | "open" | "outside";
}

/** What the maps say at one point of a wall. */
export function at(camera: Optics, point: Point, normal: Point, pitchM: number, wall: string): Told {
  const way = point.map((v, i) => v - camera.pupil[i]!) as Point;
  const distanceM = Math.hypot(...way) || 1e-6;
  const slant = Math.max(0.05, Math.abs(dot(normal, way)) / distanceM);
  const depth = dot(way, camera.forward);
  const across = (camera.focalPx * pitchM) / Math.max(depth, 0.01);
  const pxPerLed = across * slant;
  const blurPx = camera.blurPx * Math.abs(1 - camera.focusM / Math.max(depth, 0.01));
  const contrast = Math.max(beat(1 / across, blurPx), beat(1 / pxPerLed, blurPx));
  let cover: Told["cover"] = "outside";
  if (depth > 0) {
    const [x, z] = [dot(way, camera.right) / depth, dot(way, camera.up) / depth];
    const inside = ([l, r, t, b]: Sides): boolean => x > -l && x < r && z < t && z > -b;
    if (inside(camera.seen)) cover = !camera.walls.includes(wall) ? "away" : inside(camera.held) ? "covered" : "open";
  }
  return { distanceM, pxPerLed, blurPx, contrast, cover };
}

/** Shares of all that a camera may see by the photo: covered, beyond its inner picture, on walls that are not its, and where there is no wall. */
export function shares(camera: Optics, surfaces: Surface[]): Record<"covered" | "open" | "away" | "none", number> {
  const [across, down] = [48, 28];
  const found = { covered: 0, open: 0, away: 0, none: 0 };
  const [l, r, t, b] = camera.seen;
  let whole = 0;
  for (let i = 0; i < across; i++) {
    for (let j = 0; j < down; j++) {
      const [x, z] = [-l + ((l + r) * (i + 0.5)) / across, t - ((t + b) * (j + 0.5)) / down];
      const way = [0, 1, 2].map((k) => camera.forward[k]! + camera.right[k]! * x + camera.up[k]! * z) as Point;
      const weight = (1 + x * x + z * z) ** -1.5; // solid angle of an even cell of tangents
      whole += weight;
      const touch = hit(surfaces, camera.pupil, way);
      const wall = touch?.surface.pieces.find((piece) => touch.triangle >= piece.first && touch.triangle < piece.first + piece.count)?.wall;
      const held = x > -camera.held[0] && x < camera.held[1] && z < camera.held[2] && z > -camera.held[3];
      found[wall === undefined ? "none" : !camera.walls.includes(wall) ? "away" : held ? "covered" : "open"] += weight;
    }
  }
  for (const name of Object.keys(found) as (keyof typeof found)[]) found[name] /= whole || 1;
  return found;
}
