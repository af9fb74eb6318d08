// How figures are written.

import { language } from "./lang.svelte";

export const number = (value: number | null | undefined, digits = 0): string =>
  value == null || !Number.isFinite(value) ? "–" : value.toFixed(digits);

export const signed = (value: number | null | undefined, digits = 0): string =>
  value == null || !Number.isFinite(value) ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

export const ratio = (rate: string | undefined): number => {
  const [num, den] = String(rate ?? "24").split("/").map(Number);
  return (num ?? 24) / (den ?? 1);
};

export const fps = (rate: string | undefined): string => ratio(rate).toFixed(3).replace(/\.?0+$/, "");

/** What a canvas carries: transfer and depth. */
export const encoded = (one: { transfer: string; bits: number }): string =>
  `${one.transfer === "pq" ? "PQ" : one.transfer.replace(/gamma(\d)(\d)/, "γ $1.$2")} · ${one.bits} bit`;

export const bytes = (value: number): string =>
  value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : value >= 1e6 ? `${(value / 1e6).toFixed(0)} MB` : `${(value / 1e3).toFixed(0)} kB`;

/** TAI nanoseconds as the clock on this machine's wall. */
export const when = (taiNs: number): string =>
  taiNs > 0 ? new Date(taiNs / 1e6 - 37_000).toLocaleString(language.code === "zh" ? "zh-CN" : "en-GB", { dateStyle: "short", timeStyle: "medium" }) : "–";

export const plain = (value: unknown): string => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return String(Math.round(value * 1e4) / 1e4);
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
};
