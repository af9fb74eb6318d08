// Lines whose points change while they are shown, and the trails that things leave behind them.

import * as THREE from "three";
import type { Point } from "./rays";

const positions = (line: THREE.Line | THREE.LineSegments): THREE.BufferAttribute => line.geometry.getAttribute("position") as THREE.BufferAttribute;

/** Room for so many points, none of them shown yet. */
export function roomFor(points: number): THREE.BufferGeometry {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(points * 3), 3));
  geometry.setDrawRange(0, 0);
  return geometry;
}

/** Shows these points; those beyond its room are left out. */
export function put(line: THREE.Line | THREE.LineSegments, points: Point[]): void {
  const to = positions(line);
  const drawn = Math.min(points.length, to.count);
  for (let i = 0; i < drawn; i++) to.setXYZ(i, ...points[i]!);
  to.needsUpdate = true;
  line.geometry.setDrawRange(0, drawn);
}

/** A trail goes on to here; over more than `jumpM` at once it begins anew: something was carried. */
export function goOn(trail: THREE.Line, at: Point, jumpM = Infinity): void {
  const path = positions(trail);
  const gone = Math.hypot(path.getX(0) - at[0], path.getY(0) - at[1], path.getZ(0) - at[2]);
  const count = gone > jumpM ? 0 : trail.geometry.drawRange.count;
  (path.array as Float32Array).copyWithin(3, 0, (path.count - 1) * 3);
  path.setXYZ(0, ...at);
  path.needsUpdate = true;
  trail.geometry.setDrawRange(0, Math.min(path.count, count + 1));
}
