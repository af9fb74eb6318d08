// Subjects in the stage: a prop or a light as its axes in a small box, a performer as bones; each with its trail.

import * as THREE from "three";
import type { Many } from "../../lib/live.svelte";
import { axes, type Point } from "./geometry";

const TRAIL = 120;
const BONES = 128;
const SIZE_M = 0.18;
const JUMP_M = 1;
const COLOURS = { prop: 0xe5a75a, light: 0xf7e08a, performer: 0xc58be0, lost: 0xff7d6e };
const CORNERS: Point[] = [-1, 1].flatMap((x) => [-1, 1].flatMap((y) => [-1, 1].map((z): Point => [x, y, z])));
const RIM = CORNERS.flatMap((a, i) => CORNERS.slice(i + 1).filter((b) => a.filter((v, k) => v !== b[k]).length === 1).map((b) => [a, b] as const));

interface Figure {
  lines: THREE.LineSegments;
  trail: THREE.Line;
  count: number;
}

export class Figures {
  readonly group = new THREE.Group();
  readonly #figures = new Map<string, Figure>();

  set(subject: Many["subjects"]): void {
    let figure = this.#figures.get(subject.id);
    if (!figure) this.#figures.set(subject.id, (figure = this.#make()));
    const { lines, trail } = figure;
    lines.visible = trail.visible = subject.seen;
    if (!subject.seen) return;
    const trusted = subject.quality === "ok";
    (lines.material as THREE.LineBasicMaterial).color.setHex(trusted ? COLOURS[subject.kind] : COLOURS.lost);
    (trail.material as THREE.LineBasicMaterial).color.setHex(COLOURS[subject.kind]);
    const at = subject.position_m as Point;
    const ends: Point[] = [];
    if (subject.joints.length) {
      for (const joint of subject.joints) {
        const parent = subject.joints[joint.parent];
        if (parent) ends.push(parent.position_m as Point, joint.position_m as Point);
      }
    } else {
      const { right, forward, up } = axes(subject.pan_deg, subject.tilt_deg, subject.roll_deg);
      const put = ([x, y, z]: Point): Point => [0, 1, 2].map((k) => at[k]! + SIZE_M * (right[k]! * x + forward[k]! * y + up[k]! * z)) as Point;
      for (const [a, b] of RIM) ends.push(put(a), put(b));
      ends.push(at, put([0, 2.2, 0])); // where it looks
    }
    const positions = lines.geometry.getAttribute("position") as THREE.BufferAttribute;
    const drawn = Math.min(ends.length, BONES * 2);
    for (let i = 0; i < drawn; i++) positions.setXYZ(i, ...ends[i]!);
    positions.needsUpdate = true;
    lines.geometry.setDrawRange(0, drawn);
    const path = trail.geometry.getAttribute("position") as THREE.BufferAttribute;
    const gone = Math.hypot(path.getX(0) - at[0], path.getY(0) - at[1], path.getZ(0) - at[2]);
    if (gone > JUMP_M) figure.count = 0; // it was carried, or its tracker began anew: no way led there
    (path.array as Float32Array).copyWithin(3, 0, (TRAIL - 1) * 3);
    path.setXYZ(0, ...at);
    path.needsUpdate = true;
    figure.count = Math.min(TRAIL, figure.count + 1);
    trail.geometry.setDrawRange(0, figure.count);
  }

  /** Only these are still there. */
  keep(ids: string[]): void {
    for (const [id, figure] of this.#figures) {
      if (ids.includes(id)) continue;
      this.group.remove(figure.lines, figure.trail);
      figure.lines.geometry.dispose();
      figure.trail.geometry.dispose();
      this.#figures.delete(id);
    }
  }

  #make(): Figure {
    const made = (count: number): THREE.BufferGeometry => {
      const geometry = new THREE.BufferGeometry();
      geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(count * 3), 3));
      geometry.setDrawRange(0, 0);
      return geometry;
    };
    const lines = new THREE.LineSegments(made(BONES * 2), new THREE.LineBasicMaterial({ color: COLOURS.prop }));
    const trail = new THREE.Line(made(TRAIL), new THREE.LineBasicMaterial({ color: COLOURS.prop, transparent: true, opacity: 0.5 }));
    lines.frustumCulled = trail.frustumCulled = false;
    this.group.add(lines, trail);
    return { lines, trail, count: 0 };
  }
}
