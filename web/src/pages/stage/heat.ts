// What may go wrong in a camera's picture, worked out for any point of the walls: how dense the LEDs are in it, how
// strongly the LED grid may beat with the sensor's, and what the inner picture does not cover. The shader works it out
// for every pixel of the view by the same formulas; docs/operator.md tells them and where they come from.

import { hit, type Surface } from "./geometry";
import { inside, type Optics } from "./optics";
import { dot, through, type Point } from "./rays";

export type Heat = "off" | "density" | "moire" | "cover";
export const HEATS: Heat[] = ["off", "density", "moire", "cover"];

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
    if (inside(camera.seen, x, z)) cover = !camera.walls.includes(wall) ? "away" : inside(camera.held, x, z) ? "covered" : "open";
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
      const weight = (1 + x * x + z * z) ** -1.5; // solid angle of an even cell of tangents
      whole += weight;
      const touch = hit(surfaces, camera.pupil, through(camera, x, z));
      const wall = touch?.surface.pieces.find((piece) => touch.triangle >= piece.first && touch.triangle < piece.first + piece.count)?.wall;
      found[wall === undefined ? "none" : !camera.walls.includes(wall) ? "away" : inside(camera.held, x, z) ? "covered" : "open"] += weight;
    }
  }
  for (const name of Object.keys(found) as (keyof typeof found)[]) found[name] /= whole || 1;
  return found;
}
