// Live values of a scene by the part they belong to, with a range a hand can use.

import type { View } from "../../lib/api";

export type Value = View<"SceneAddressView">;
export interface Part {
  id: string;
  values: Value[];
}
const ORDER = ["exposed", "sun", "sky", "dome", "general", "fog", "lights", "occlusion", "objects", "bindings"];

/** Values by part: what the scene's maker exposed first, what there is plenty of last. */
export function parts(values: Value[], search: string): Part[] {
  const wanted = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = new Map<string, Value[]>();
  for (const value of values) {
    const told = `${value.address} ${value.label}`.toLowerCase();
    if (!wanted.every((word) => told.includes(word))) continue;
    const [first = "", ...rest] = value.address.split("/");
    if (first === "transport") continue;
    const part = value.exposed ? "exposed" : rest.length ? first : "general";
    found.set(part, [...(found.get(part) ?? []), value]);
  }
  return [...found].map(([id, list]) => ({ id, values: list })).sort((a, b) => (ORDER.indexOf(a.id) + 99) % 99 - ((ORDER.indexOf(b.id) + 99) % 99));
}

/** Limits of a slider: those of the value where they are near, else room about what it is now. */
export function range(value: Value): { low: number; high: number; digits: number } {
  const now = typeof value.value === "number" ? value.value : 0;
  const low = value.low ?? -1e6;
  const high = value.high ?? 1e6;
  if (value.unit === "EV") return { low: Math.max(low, -8), high: Math.min(high, 8), digits: 2 };
  if (value.unit === "deg") return { low: Math.max(low, -180), high: Math.min(high, 180), digits: 1 };
  if (high - low <= 1000) return { low, high, digits: high - low > 20 ? 1 : 2 };
  // A power of ten above what was configured, so that a slider does not grow under the hand.
  const room = 10 ** Math.ceil(Math.log10(Math.max(4, Math.abs(now)) * 1.01));
  return { low: Math.max(low, low < 0 ? -room : 0), high: Math.min(high, room), digits: room > 100 ? 0 : 2 };
}

/** `sun/elevation_deg`, 12 -> {sun: {elevation_deg: 12}}. */
export function nested(changes: Record<string, unknown>): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [address, value] of Object.entries(changes)) {
    const path = address.split("/");
    let at = body;
    for (const part of path.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>;
    at[path.at(-1)!] = value;
  }
  return body;
}

const encode = (l: number): number => (l <= 0.0031308 ? 12.92 * l : 1.055 * l ** (1 / 2.4) - 0.055);
const decode = (c: number): number => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);

/** Linear Rec.709 as a hue a colour field can hold, and how strong it is. */
export function split(colour: number[]): { hex: string; strength: number } {
  const strength = Math.max(...colour, 0);
  const hex = colour.slice(0, 3).map((v) => Math.round(255 * encode(Math.min(1, Math.max(0, strength ? v / strength : 0)))).toString(16).padStart(2, "0")).join("");
  return { hex: `#${hex}`, strength };
}

export function joined(hex: string, strength: number, before: number[]): number[] {
  const rgb = [1, 3, 5].map((i) => decode(parseInt(hex.slice(i, i + 2), 16) / 255) * (strength || 1)).map((v) => Math.round(v * 1e4) / 1e4);
  return [...rgb, ...before.slice(3)];
}
