// Grades as hands see them: which values go together, how their sliders run, and what an address is called.

import type { View } from "../../lib/api";

export type Grade = View<"GradeView">;
export type Field = keyof Grade;
export type Triple = [number, number, number];

export const NEUTRAL: Grade = {
  exposure_ev: 0, temperature_k: 6000, tint: 0, cdl_slope: [1, 1, 1], cdl_offset: [0, 0, 0], cdl_power: [1, 1, 1], cdl_saturation: 1,
  contrast: 1, lift: [0, 0, 0], gamma: [1, 1, 1], gain: [1, 1, 1], saturation: 1,
};
const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
export const isNeutral = (grade: Grade | undefined, field?: Field): boolean =>
  !grade || (field ? same(grade[field], NEUTRAL[field]) : (Object.keys(NEUTRAL) as Field[]).every((one) => same(grade[one], NEUTRAL[one])));

/** A colour as a place on a wheel and a level: three numbers, three others, nothing lost. Red is up. */
const ANGLES = [90, 210, 330].map((deg) => (deg * Math.PI) / 180);
export interface Place {
  level: number;
  x: number;
  y: number;
}
export function place(colour: number[]): Place {
  const level = (colour[0]! + colour[1]! + colour[2]!) / 3;
  const sum = (of: (angle: number) => number): number => (2 / 3) * ANGLES.reduce((all, angle, i) => all + colour[i]! * of(angle), 0);
  return { level, x: sum(Math.cos), y: sum(Math.sin) };
}
export const colour = ({ level, x, y }: Place, low: number, high: number): Triple =>
  ANGLES.map((angle) => round(Math.min(high, Math.max(low, level + x * Math.cos(angle) + y * Math.sin(angle))))) as Triple;
export const round = (value: number): number => Math.round(value * 1e5) / 1e5;

/** Kelvin run as they look: evenly in their reciprocal. Factors run evenly in stops. */
export const KELVIN = { to: (value: number): number => -1e6 / value, from: (at: number): number => Math.round(-1e6 / at / 10) * 10 };
export const FACTOR = { to: (value: number): number => Math.log2(Math.max(1e-3, value)), from: (at: number): number => Math.round(2 ** at * 1000) / 1000 };
