// Frame lines: those the configuration gives the camera's sensor mode, and a few by their ratio.

import type { View } from "../../lib/api";

export interface Frame {
  id: string;
  label: string;
  /** From the left, top, right and bottom edge of the photo, percent. */
  inset: [number, number, number, number];
}
const RATIOS: [string, number][] = [["2.39", 2.39], ["1.85", 1.85], ["16:9", 16 / 9], ["4:3", 4 / 3], ["1:1", 1], ["9:16", 9 / 16]];

export const byRatio = (shape: number): Frame[] => RATIOS.map(([id, ratio]) => {
  const [x, y] = ratio > shape ? [0, 50 * (1 - shape / ratio)] : [50 * (1 - ratio / shape), 0];
  return { id, label: id, inset: [x!, y!, x!, y!] };
});

export function configured(camera: View<"CameraView"> | undefined): Frame[] {
  const [width, height] = (camera?.resolution_px ?? [1, 1]) as [number, number];
  return Object.entries(camera?.frame_lines ?? {}).map(([id, line]) => {
    const [right, down] = line.offset_px as [number, number];
    const side = { x: (50 * (width - line.width_px)) / width, y: (50 * (height - line.height_px)) / height };
    const by = { x: (100 * right) / width, y: (100 * down) / height };
    return { id: `line:${id}`, label: id.replaceAll("_", " "), inset: [side.x + by.x, side.y + by.y, side.x - by.x, side.y - by.y] };
  });
}

/** Shrunk to a share about its own middle: safe areas. */
export const within = ([left, top, right, bottom]: Frame["inset"], share: number): Frame["inset"] => {
  const [x, y] = [((100 - left - right) * (1 - share)) / 2, ((100 - top - bottom) * (1 - share)) / 2];
  return [left + x, top + y, right + x, bottom + y];
};
export const css = ([left, top, right, bottom]: Frame["inset"]): string => `${top}% ${right}% ${bottom}% ${left}%`;
