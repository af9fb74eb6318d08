// Colour decision lists as files and as text: ASC XML (.cc, .ccc, .cdl) in and out, and bare numbers.

import type { Triple } from "./grade";

export interface Cdl {
  cdl_slope: Triple;
  cdl_offset: Triple;
  cdl_power: Triple;
  cdl_saturation: number;
}
export interface Named {
  id: string;
  cdl: Cdl;
}
const NUMBERS = /[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/g;
const LIMITS: Record<"cdl_slope" | "cdl_offset" | "cdl_power", [number, number]> = { cdl_slope: [0, 100], cdl_offset: [-10, 10], cdl_power: [0.05, 20] };

/** Every correction of a text, or null where it holds none that can be used. */
export function read(text: string): Named[] | null {
  return text.includes("<") ? fromXml(text) : fromNumbers(text);
}

function fromXml(text: string): Named[] | null {
  const document = new DOMParser().parseFromString(text, "application/xml");
  if (document.querySelector("parsererror")) return null;
  const all = (name: string, under: Element | Document): Element[] => [...under.getElementsByTagName("*")].filter((one) => one.localName === name);
  const corrections = all("ColorCorrection", document);
  const found: Named[] = [];
  for (const [i, one] of (corrections.length ? corrections : document.documentElement ? [document.documentElement] : []).entries()) {
    const triple = (name: string, neutral: number): number[] => {
      const node = all(name, one)[0];
      return node ? (node.textContent?.match(NUMBERS) ?? []).map(Number) : [neutral, neutral, neutral];
    };
    const saturation = all("Saturation", one)[0]?.textContent?.match(NUMBERS)?.map(Number)[0] ?? 1;
    if (!all("Slope", one).length && !all("Offset", one).length && !all("Power", one).length && !all("Saturation", one).length) continue;
    const cdl = checked(triple("Slope", 1), triple("Offset", 0), triple("Power", 1), saturation);
    if (!cdl) return null;
    found.push({ id: one.getAttribute("id") ?? String(i + 1), cdl });
  }
  return found.length ? found : null;
}

/** `(slope)(offset)(power) saturation`, as an EDL writes it, or any text with nine or ten numbers. */
function fromNumbers(text: string): Named[] | null {
  const sat = /SAT\D*?([-+]?[\d.]+)/i.exec(text);
  const rest = sat ? text.replace(sat[0], " ") : text;
  const numbers = (rest.replace(/ASC_SOP|ASC_SAT/gi, " ").match(NUMBERS) ?? []).map(Number);
  if (numbers.length !== 9 && !(numbers.length === 10 && !sat)) return null;
  const cdl = checked(numbers.slice(0, 3), numbers.slice(3, 6), numbers.slice(6, 9), sat ? Number(sat[1]) : numbers[9] ?? 1);
  return cdl ? [{ id: "1", cdl }] : null;
}

function checked(slope: number[], offset: number[], power: number[], saturation: number): Cdl | null {
  const parts = { cdl_slope: slope, cdl_offset: offset, cdl_power: power };
  for (const [name, values] of Object.entries(parts)) {
    const [low, high] = LIMITS[name as keyof typeof LIMITS];
    if (values.length !== 3 || values.some((value) => !(value >= low && value <= high))) return null;
  }
  if (!(saturation >= 0 && saturation <= 100)) return null;
  return { ...(parts as unknown as Record<keyof typeof parts, Triple>), cdl_saturation: saturation };
}

/** One correction as a `.cc` file. */
export function written(id: string, cdl: Cdl): string {
  const figures = (values: number[]): string => values.map((value) => value.toFixed(6)).join(" ");
  const name = id.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
  return `<?xml version="1.0" encoding="UTF-8"?>
<ColorCorrection id="${name}" xmlns="urn:ASC:CDL:v1.01">
  <SOPNode>
    <Slope>${figures(cdl.cdl_slope)}</Slope>
    <Offset>${figures(cdl.cdl_offset)}</Offset>
    <Power>${figures(cdl.cdl_power)}</Power>
  </SOPNode>
  <SatNode>
    <Saturation>${cdl.cdl_saturation.toFixed(6)}</Saturation>
  </SatNode>
</ColorCorrection>
`;
}
