// Why a slot repeated an older picture, by the reason its report gives. `tests/console` keeps the list whole.

import { words } from "./lang.svelte";

const says = words(
  {
    late_draw: "drawn too late", late_plan: "planned too late", no_plan: "no plan came", host_stall: "the machine stood still", held: "HOLD", switching: "configuration switched",
    fenced: "a node was away", late_engine: "an engine was late", none: "no reason told", not_reported: "not reported",
  },
  {
    late_draw: "绘制过晚", late_plan: "规划过晚", no_plan: "没有收到规划", host_stall: "机器停顿", held: "定格", switching: "正在切换配置",
    fenced: "节点不在", late_engine: "引擎过晚", none: "未说明原因", not_reported: "未报告",
  },
);

export const reasonWord = (reason: string): string => (says.now as Record<string, string>)[reason] ?? reason.replaceAll("_", " ");
