// Points and directions in the stage frame: +X right, +Y forward, +Z up; pan + = left, tilt + = up, degrees.

export type Point = [number, number, number];

/** Right, forward and up of something that is turned. */
export interface Axes {
  right: Point;
  forward: Point;
  up: Point;
}

const DEG = 180 / Math.PI;

export const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** A place some way along a direction. */
export const along = (from: Point, way: Point, far: number): Point => [from[0] + way[0] * far, from[1] + way[1] * far, from[2] + way[2] * far];

/** R = Rz(pan) Rx(tilt) Ry(roll). */
export function axes(panDeg: number, tiltDeg: number, rollDeg: number): Axes {
  const [p, t, r] = [panDeg, tiltDeg, rollDeg].map((deg) => deg / DEG) as Point;
  const [cp, sp, ct, st, cr, sr] = [Math.cos(p), Math.sin(p), Math.cos(t), Math.sin(t), Math.cos(r), Math.sin(r)];
  return {
    right: [cp * cr - sp * st * sr, sp * cr + cp * st * sr, -ct * sr],
    forward: [-sp * ct, cp * ct, st],
    up: [cp * sr + sp * st * cr, sp * sr - cp * st * cr, ct * cr],
  };
}

/** The way through a point of the plane one metre in front: tangents to the right and up. */
export const through = ({ right, forward, up }: Axes, x: number, z: number): Point =>
  [0, 1, 2].map((k) => forward[k]! + right[k]! * x + up[k]! * z) as Point;

export const toward = (panDeg: number, tiltDeg: number): Point => axes(panDeg, tiltDeg, 0).forward;

/** Where a point is seen. */
export function direction(from: Point, point: Point): { pan: number; tilt: number } {
  const [x, y, z] = [point[0] - from[0], point[1] - from[1], point[2] - from[2]];
  return { pan: Math.atan2(-x, y) * DEG, tilt: Math.atan2(z, Math.hypot(x, y)) * DEG };
}

/** Degrees between two directions. */
export const apart = (a: { pan: number; tilt: number }, b: { pan: number; tilt: number }): number =>
  Math.acos(Math.min(1, Math.max(-1, dot(toward(a.pan, a.tilt), toward(b.pan, b.tilt))))) * DEG;
