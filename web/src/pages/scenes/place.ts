// An asset of the library put into a scene: some lines more in the configuration's text, everything else as it stands.
// The service checks the text and prepares it before any wall switches.

import { ask, type Problem } from "../../lib/api";

/** Before the stage, where it is seen at once; from there it is moved by hand. */
const BEFORE_M = 6;

const indent = (line: string): number => line.length - line.trimStart().length;
const empty = (line: string): boolean => /^\s*(#|$)/.test(line);

/** `key:` of a block at a depth, between two lines; -1: none. */
function find(lines: string[], key: string, from: number, to: number, depth: number): number {
  for (let i = from; i < to; i++) if (indent(lines[i]!) === depth && new RegExp(`^\\s*["']?${key}["']?:\\s*(#.*)?$`).test(lines[i]!)) return i;
  return -1;
}

/** The lines that belong to a key: where they end, and how deep they stand. */
function block(lines: string[], at: number): { end: number; depth: number } {
  let end = at + 1;
  let depth = indent(lines[at]!) + 2;
  let first = true;
  for (; end < lines.length; end++) {
    if (empty(lines[end]!)) continue;
    if (indent(lines[end]!) <= indent(lines[at]!)) break;
    if (first) depth = indent(lines[end]!);
    first = false;
  }
  return { end, depth };
}

/** The text with an object more in a scene, and what it is called; null where the scene is written in another way. */
export function withObject(text: string, scene: string, file: string): { text: string; object: string } | null {
  const lines = text.split("\n");
  const scenes = find(lines, "scenes", 0, lines.length, 0);
  if (scenes < 0) return null;
  const all = block(lines, scenes);
  const mine = find(lines, scene, scenes + 1, all.end, all.depth);
  if (mine < 0) return null;
  const { end, depth } = block(lines, mine);
  let at = find(lines, "objects", mine + 1, end, depth);
  const added: string[] = [];
  let deep = depth + 2;
  if (at < 0) {
    at = mine;
    added.push(`${" ".repeat(depth)}objects:`);
  } else deep = block(lines, at).depth;
  const stem = file.split("/").at(-1)!.replace(/\.\w+$/, "").toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^[^a-z]+/, "") || "object";
  const taken = new Set(lines.slice(mine, end).map((line) => /^\s*([a-z0-9_]+):/.exec(line)?.[1]));
  let object = stem;
  for (let n = 2; taken.has(object); n++) object = `${stem}_${n}`;
  added.push(`${" ".repeat(deep)}${object}:`, `${" ".repeat(deep + 2)}gltf: ${JSON.stringify(file)}`, `${" ".repeat(deep + 2)}y_m: ${BEFORE_M}`);
  lines.splice(at + 1, 0, ...added);
  return { text: lines.join("\n"), object };
}

/** Puts it there on every wall at one frame, or tells why not; what it is called in the scene. */
export async function place(scene: string, file: string): Promise<{ object: string } | { problem: Problem | null }> {
  const now = await ask("get", "/api/v1/config");
  if (!now.ok) return { problem: now.problem };
  const wanted = withObject(now.data.text, scene, file);
  if (!wanted) return { problem: null };
  const done = await ask("put", "/api/v1/config", { yaml: wanted.text, rev: now.data.rev });
  return done.ok ? { object: wanted.object } : { problem: done.problem.problems?.[0] ?? done.problem };
}
