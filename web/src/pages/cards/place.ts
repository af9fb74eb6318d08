// Where a card is seen from its point: pan + = left, tilt + = up, degrees; stage frame, +Y forward, +Z up.

import type { Point } from "../stage/geometry";

const DEG = 180 / Math.PI;

export function direction(from: Point, point: Point): { pan: number; tilt: number } {
  const [x, y, z] = [point[0] - from[0], point[1] - from[1], point[2] - from[2]];
  return { pan: Math.atan2(-x, y) * DEG, tilt: Math.atan2(z, Math.hypot(x, y)) * DEG };
}

/** Degrees between two directions. */
export function apart(a: { pan: number; tilt: number }, b: { pan: number; tilt: number }): number {
  const ray = (one: { pan: number; tilt: number }): Point => [
    -Math.sin(one.pan / DEG) * Math.cos(one.tilt / DEG), Math.cos(one.pan / DEG) * Math.cos(one.tilt / DEG), Math.sin(one.tilt / DEG),
  ];
  const [u, v] = [ray(a), ray(b)];
  return Math.acos(Math.min(1, Math.max(-1, u[0] * v[0] + u[1] * v[1] + u[2] * v[2]))) * DEG;
}
