// What the test pictures are called; one that is not listed here is shown by its id.

import { words } from "../../lib/lang.svelte";

const says = words(
  {
    inner_grid: "Grid in the camera's picture", eye_card: "Card at the eye point", tile_outlines: "Tile outlines", alignment_grid: "Alignment grid with tile names",
    ramp: "Ramp", cabinet_map: "Cabinets and data lines", frame_count: "Frame count", moving_bars: "Moving bars", bit_depth: "Bit depth", range: "Range",
    nit_steps: "Steps in nits", checker: "Checker",
  },
  {
    inner_grid: "摄影机画面内的网格", eye_card: "视点卡", tile_outlines: "拼块轮廓", alignment_grid: "带拼块名称的对位网格",
    ramp: "渐变", cabinet_map: "箱体与数据线", frame_count: "帧计数", moving_bars: "移动条", bit_depth: "位深", range: "范围",
    nit_steps: "尼特阶梯", checker: "棋盘格",
  },
);

export const patternName = (id: string): string => (says.now as Record<string, string>)[id] ?? id.replaceAll("_", " ");
