// Subjects in the stage: a prop or a light as its axes in a small box, a performer as bones; each with its trail.

import * as THREE from "three";
import type { Many } from "../../lib/live.svelte";
import { goOn, put, roomFor } from "./lines";
import { along, axes, type Point } from "./rays";

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
      const place = ([x, y, z]: Point): Point => along(along(along(at, right, SIZE_M * x), forward, SIZE_M * y), up, SIZE_M * z);
      for (const [a, b] of RIM) ends.push(place(a), place(b));
      ends.push(at, place([0, 2.2, 0])); // where it looks
    }
    put(lines, ends);
    goOn(trail, at, JUMP_M); // carried further, or its tracker began anew: no way led there
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
    const lines = new THREE.LineSegments(roomFor(BONES * 2), new THREE.LineBasicMaterial({ color: COLOURS.prop }));
    const trail = new THREE.Line(roomFor(TRAIL), new THREE.LineBasicMaterial({ color: COLOURS.prop, transparent: true, opacity: 0.5 }));
    lines.frustumCulled = trail.frustumCulled = false;
    this.group.add(lines, trail);
    return { lines, trail };
  }
}
