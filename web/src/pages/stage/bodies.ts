// Cameras in the stage: the body, what its frame sees, the trail of its move, and the inner picture's edge on the walls.

import * as THREE from "three";
import type { Many } from "../../lib/live.svelte";
import { hit, mixed, onDome, type Surface } from "./geometry";
import { goOn, put, roomFor } from "./lines";
import { corners, optics } from "./optics";
import { along, through, type Point } from "./rays";

const TRAIL = 240;
const SIDE = 12;
const BODY_M = 0.28;
/** Where there is no wall. */
const AIR_M = 7;
const FAR_M = 40;
const COLOURS = { chosen: 0x7cc7e6, other: 0x8fa0ab };

interface Body {
  group: THREE.Group;
  sight: THREE.LineSegments;
  box: THREE.LineSegments;
  outline: THREE.LineLoop;
  trail: THREE.Line;
  last: Many["cameras"];
}

/** What the cameras stand in. */
export interface Around {
  surfaces: Surface[];
  eye: Point;
  layout: "stage" | "dome" | "flat";
}

/** From where a camera looks, and how much of the height it sees. */
export interface Aim {
  at: Point;
  forward: Point;
  heightDeg: number;
}

export class Bodies {
  readonly group = new THREE.Group();
  readonly #bodies = new Map<string, Body>();
  #chosen = "";

  /** Whether anything is otherwise than it was. */
  set(camera: Many["cameras"], around: Around): boolean {
    const body = this.#bodies.get(camera.id);
    if (body?.last === camera) return false;
    this.#draw(body ?? this.#make(camera), camera, around);
    return true;
  }

  /** The same cameras in another layout. */
  again(around: Around): void {
    for (const body of this.#bodies.values()) this.#draw(body, body.last, around);
  }

  choose(camera: string): void {
    this.#chosen = camera;
    for (const [id, body] of this.#bodies) this.#tint(id, body);
  }

  /** Whether the view that follows the chosen camera follows this one. */
  follows(camera: string): boolean {
    return this.#chosen === camera || !this.#chosen;
  }

  /** Of the chosen camera; without one, of the first. */
  get aim(): Aim | null {
    const camera = (this.#bodies.get(this.#chosen) ?? this.#bodies.values().next().value)?.last;
    if (!camera) return null;
    const { pupil, forward } = optics(camera);
    return { at: pupil, forward, heightDeg: (camera.field_of_view_deg as [number, number])[1] };
  }

  #draw(body: Body, camera: Many["cameras"], { surfaces, eye, layout }: Around): void {
    const moved = body.last !== camera || body.trail.geometry.drawRange.count === 0;
    body.last = camera;
    body.group.visible = layout === "stage";
    const own = optics(camera);
    const at = own.pupil;
    const reach = (way: Point): { far: number; touch: ReturnType<typeof hit> } => {
      const touch = hit(surfaces, at, way);
      return { far: Math.min(touch?.distance ?? AIR_M, FAR_M), touch };
    };
    const ring = (points: Point[]): Point[] => points.flatMap((point, i) => [point, points[(i + 1) % points.length]!]);
    const ways = corners(own.frame).map(([x, z]) => through(own, x, z));
    const ends = ways.map((way) => along(at, way, reach(way).far * 0.995));
    put(body.sight, [...ends.flatMap((end) => [at, end]), ...ring(ends)]);
    const face = ways.map((way) => along(at, way, BODY_M));
    put(body.box, [...face.flatMap((point) => [at, point]), ...ring(face)]);
    const rim = corners(own.inner);
    put(body.outline, rim.flatMap(([x, z], side) => {
      const [toX, toZ] = rim[(side + 1) % 4]!;
      return Array.from({ length: SIDE }, (_, i): Point | null => {
        const way = through(own, x + ((toX - x) * i) / SIDE, z + ((toZ - z) * i) / SIDE);
        const { far, touch } = reach(way);
        if (layout === "flat") return touch && (mixed(touch.surface.flat, 3, touch.triangle, touch.weights) as Point);
        const place = along(at, way, Math.max(0, far - 0.02)); // before the wall, not in it
        return layout === "dome" ? onDome(place, eye) : place;
      });
    }).filter((point) => point !== null));
    if (moved) goOn(body.trail, at);
  }

  #make(camera: Many["cameras"]): Body {
    const group = new THREE.Group();
    const sight = new THREE.LineSegments(roomFor(16), new THREE.LineBasicMaterial({ color: COLOURS.other, transparent: true, opacity: 0.5 }));
    const box = new THREE.LineSegments(roomFor(16), new THREE.LineBasicMaterial());
    const outline = new THREE.LineLoop(roomFor(SIDE * 4), new THREE.LineBasicMaterial({ depthTest: false }));
    const trail = new THREE.Line(roomFor(TRAIL), new THREE.LineBasicMaterial({ color: COLOURS.chosen, transparent: true, opacity: 0.6 }));
    for (const line of [sight, box, outline, trail]) line.frustumCulled = false;
    group.add(sight, box, trail);
    this.group.add(group, outline);
    const body = { group, sight, box, outline, trail, last: camera };
    this.#bodies.set(camera.id, body);
    this.#tint(camera.id, body);
    return body;
  }

  #tint(id: string, body: Body): void {
    for (const line of [body.outline, body.box]) (line.material as THREE.LineBasicMaterial).color.setHex(this.follows(id) ? COLOURS.chosen : COLOURS.other);
  }
}
