// The walls as the service tells them (GET /stage), as triangles with canvas coordinates, in three layouts.

import type { Point } from "./rays";

export interface Cabinet {
  id: string;
  wall: string;
  canvas: string;
  panel: string;
  corners_m: [Point, Point, Point, Point];
  wall_px: [number, number, number, number];
  rect_px: [number, number, number, number];
  rotate: number;
  flip: boolean;
}
interface Mesh {
  id: string;
  wall: string;
  canvas: string;
  wall_px: [number, number, number, number];
  rect_px: [number, number, number, number];
  rotate: number;
  flip: boolean;
  positions_m: Point[];
  vertices_wall_px: [number, number][];
  triangles: [number, number, number][];
}
export interface StageDocument {
  eye_m: Point;
  scale: number;
  walls: Record<string, { width_px: number; height_px: number; pitch_mm: number; nits: number }>;
  canvases: Record<string, { width_px: number; height_px: number; processor: string; encoding: { transfer: string; peak_nits: number; range: string; primaries: string } }>;
  cabinets: Cabinet[];
  meshes: Mesh[];
  cameras: Record<string, { resolution_px: [number, number] }>;
}

/** One cabinet (or mesh) within the triangles of its canvas. */
export interface Piece {
  id: string;
  wall: string;
  canvas: string;
  first: number;
  count: number;
}

/** The triangles of everything one canvas feeds. */
export interface Surface {
  canvas: string;
  stage: Float32Array;
  dome: Float32Array;
  flat: Float32Array;
  uv: Float32Array;
  wallPx: Float32Array;
  pitchM: Float32Array;
  edges: { stage: Float32Array; dome: Float32Array; flat: Float32Array };
  pieces: Piece[];
  /** A ball round each piece: x, y, z, radius squared. A ray that misses it misses all of its triangles. */
  balls: Float32Array;
}

/** Where a picture's point lies after the flip and the clockwise turn: u to the right, v down, 0 to 1. */
export function turned(u: number, v: number, rotate: number, flip: boolean): [number, number] {
  const x = flip ? 1 - u : u;
  if (rotate === 90) return [1 - v, x];
  if (rotate === 180) return [1 - x, 1 - v];
  if (rotate === 270) return [v, 1 - x];
  return [x, v];
}

/** Direction from the eye on a dome seen from below: the middle is forward, distance from it the angle. */
export function onDome(point: Point, eye: Point): Point {
  const [x, y, z] = [point[0] - eye[0], point[1] - eye[1], point[2] - eye[2]];
  const length = Math.hypot(x, y, z) || 1;
  const angle = Math.acos(Math.min(1, Math.max(-1, y / length)));
  const round = Math.hypot(x, z) || 1e-9;
  const radius = (angle / Math.PI) * 2;
  return [(radius * x) / round, 0, (radius * z) / round];
}

/** Every wall unrolled beside the others, metres: where each begins. */
export function flatPlaces(stage: StageDocument): Map<string, { x: number; y: number; m: number; width: number; height: number }> {
  const places = new Map<string, { x: number; y: number; m: number; width: number; height: number }>();
  let row = 0;
  for (const [id, wall] of Object.entries(stage.walls)) {
    const m = wall.pitch_mm / 1000;
    const [width, height] = [wall.width_px * m, wall.height_px * m];
    places.set(id, { x: -width / 2, y: row, m, width, height });
    row -= height + 0.6;
  }
  const top = -(row + 0.6) / 2;
  for (const place of places.values()) place.y += top;
  return places;
}

export function surfaces(stage: StageDocument): Surface[] {
  const places = flatPlaces(stage);
  const found = new Map<string, { stage: number[]; dome: number[]; flat: number[]; uv: number[]; wallPx: number[]; pitch: number[]; edges: { stage: number[]; dome: number[]; flat: number[] }; pieces: Piece[] }>();
  const of = (canvas: string) => {
    let surface = found.get(canvas);
    if (!surface) found.set(canvas, (surface = { stage: [], dome: [], flat: [], uv: [], wallPx: [], pitch: [], edges: { stage: [], dome: [], flat: [] }, pieces: [] }));
    return surface;
  };
  const flatOf = (wall: string, px: [number, number]): Point => {
    const place = places.get(wall)!;
    return [place.x + px[0] * place.m, 0, place.y - px[1] * place.m];
  };
  for (const cabinet of stage.cabinets) {
    const canvas = stage.canvases[cabinet.canvas];
    if (!canvas) continue;
    const surface = of(cabinet.canvas);
    const [lowLeft, lowRight, upLeft, upRight] = cabinet.corners_m;
    const [wx, wy, ww, wh] = cabinet.wall_px;
    const [rx, ry, rw, rh] = cabinet.rect_px;
    const corners = [[lowLeft, 0, 1], [lowRight, 1, 1], [upRight, 1, 0], [upLeft, 0, 0]] as const;
    const first = surface.stage.length / 9;
    for (const i of [0, 1, 2, 0, 2, 3] as const) {
      const [at, u, v] = corners[i];
      const [s, t] = turned(u, v, cabinet.rotate, cabinet.flip);
      const px: [number, number] = [wx + u * ww, wy + v * wh];
      surface.stage.push(...at);
      surface.dome.push(...onDome(at, stage.eye_m));
      surface.flat.push(...flatOf(cabinet.wall, px));
      surface.uv.push((rx + s * rw) / canvas.width_px, (ry + t * rh) / canvas.height_px);
      surface.wallPx.push(...px);
      surface.pitch.push(places.get(cabinet.wall)!.m);
    }
    for (const [a, b] of [[0, 1], [1, 2], [2, 3], [3, 0]] as const) {
      for (const i of [a, b] as const) {
        const [at, u, v] = corners[i];
        surface.edges.stage.push(...at);
        surface.edges.dome.push(...onDome(at, stage.eye_m));
        surface.edges.flat.push(...flatOf(cabinet.wall, [wx + u * ww, wy + v * wh]));
      }
    }
    surface.pieces.push({ id: cabinet.id, wall: cabinet.wall, canvas: cabinet.canvas, first, count: 2 });
  }
  for (const mesh of stage.meshes) {
    const canvas = stage.canvases[mesh.canvas];
    if (!canvas) continue;
    const surface = of(mesh.canvas);
    const [wx, wy, ww, wh] = mesh.wall_px;
    const [rx, ry, rw, rh] = mesh.rect_px;
    const first = surface.stage.length / 9;
    for (const triangle of mesh.triangles) {
      for (const i of triangle) {
        const at = mesh.positions_m[i]!;
        const px = mesh.vertices_wall_px[i]!;
        const [s, t] = turned((px[0] - wx) / ww, (px[1] - wy) / wh, mesh.rotate, mesh.flip);
        surface.stage.push(...at);
        surface.dome.push(...onDome(at, stage.eye_m));
        surface.flat.push(...flatOf(mesh.wall, px));
        surface.uv.push((rx + s * rw) / canvas.width_px, (ry + t * rh) / canvas.height_px);
        surface.wallPx.push(...px);
        surface.pitch.push(places.get(mesh.wall)?.m ?? 0.002);
      }
    }
    surface.pieces.push({ id: mesh.id, wall: mesh.wall, canvas: mesh.canvas, first, count: mesh.triangles.length });
  }
  return [...found].map(([canvas, one]) => ({
    canvas, stage: new Float32Array(one.stage), dome: new Float32Array(one.dome), flat: new Float32Array(one.flat),
    uv: new Float32Array(one.uv), wallPx: new Float32Array(one.wallPx), pitchM: new Float32Array(one.pitch),
    edges: { stage: new Float32Array(one.edges.stage), dome: new Float32Array(one.edges.dome), flat: new Float32Array(one.edges.flat) },
    pieces: one.pieces, balls: balls(one.stage, one.pieces),
  }));
}

function balls(at: number[], pieces: Piece[]): Float32Array {
  const found = new Float32Array(pieces.length * 4);
  pieces.forEach((piece, n) => {
    const [from, to] = [piece.first * 9, (piece.first + piece.count) * 9];
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (let i = from; i < to; i++) {
      low[i % 3] = Math.min(low[i % 3]!, at[i]!);
      high[i % 3] = Math.max(high[i % 3]!, at[i]!);
    }
    for (let k = 0; k < 3; k++) {
      found[n * 4 + k] = (low[k]! + high[k]!) / 2;
      found[n * 4 + 3]! += ((high[k]! - low[k]!) / 2) ** 2;
    }
    found[n * 4 + 3]! *= 1.001;
  });
  return found;
}

/** Where a ray first meets the walls' lit or dark side: distance, surface, and the triangle with its weights; null: nowhere. */
export function hit(all: Surface[], from: Point, way: Point): { distance: number; surface: Surface; triangle: number; weights: Point } | null {
  let best: { distance: number; surface: Surface; triangle: number; weights: Point } | null = null;
  const long2 = way[0] ** 2 + way[1] ** 2 + way[2] ** 2;
  for (const surface of all) {
    const { stage: at, balls: ball } = surface;
    for (let n = 0; n < surface.pieces.length; n++) {
      const [bx, by, bz] = [ball[n * 4]! - from[0], ball[n * 4 + 1]! - from[1], ball[n * 4 + 2]! - from[2]];
      const on = bx * way[0] + by * way[1] + bz * way[2];
      if (bx * bx + by * by + bz * bz - (on * on) / long2 > ball[n * 4 + 3]!) continue;
      const { first, count } = surface.pieces[n]!;
      for (let i = first * 9; i < (first + count) * 9; i += 9) {
        const [ax, ay, az] = [at[i]!, at[i + 1]!, at[i + 2]!];
        const [e1x, e1y, e1z] = [at[i + 3]! - ax, at[i + 4]! - ay, at[i + 5]! - az];
        const [e2x, e2y, e2z] = [at[i + 6]! - ax, at[i + 7]! - ay, at[i + 8]! - az];
        const [px, py, pz] = [way[1] * e2z - way[2] * e2y, way[2] * e2x - way[0] * e2z, way[0] * e2y - way[1] * e2x];
        const det = e1x * px + e1y * py + e1z * pz;
        if (Math.abs(det) < 1e-12) continue;
        const [tx, ty, tz] = [from[0] - ax, from[1] - ay, from[2] - az];
        const u = (tx * px + ty * py + tz * pz) / det;
        if (u < -1e-6 || u > 1 + 1e-6) continue;
        const [qx, qy, qz] = [ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x];
        const v = (way[0] * qx + way[1] * qy + way[2] * qz) / det;
        if (v < -1e-6 || u + v > 1 + 1e-6) continue;
        const distance = (e2x * qx + e2y * qy + e2z * qz) / det;
        if (distance > 1e-6 && (!best || distance < best.distance)) best = { distance, surface, triangle: i / 9, weights: [1 - u - v, u, v] };
      }
    }
  }
  return best;
}

/** A value of the three corners of a triangle, weighted. */
export function mixed(values: Float32Array, size: number, triangle: number, weights: Point): number[] {
  const found: number[] = [];
  for (let k = 0; k < size; k++) {
    const at = triangle * 3 * size + k;
    found.push(values[at]! * weights[0] + values[at + size]! * weights[1] + values[at + 2 * size]! * weights[2]);
  }
  return found;
}
