import { words } from "../../lib/lang.svelte";
import { live } from "../../lib/live.svelte";

export const says = words(
  {
    looks: "Looks", grade: "Grade", layer: "What is graded", outer: "Outer", inner: "Inner", wall: "Wall", graded: "graded", neutral: "Neutral", neutralAll: "Layer neutral", moving: "moving",
    exposure_ev: "Exposure", contrast: "Contrast", saturation: "Saturation", white: "White point", temperature_k: "Warm – cool", tint: "Green – magenta", wheels: "Lift · gamma · gain",
    lift: "Lift", gamma: "Gamma", gain: "Gain", colour: "colour", cdl_slope: "Slope", cdl_offset: "Offset", cdl_power: "Power", cdl_saturation: "Saturation of the CDL",
    paste: "Paste", load: "Open…", save: "Save .cc", use: "Use it", several: "Several corrections: which one?", cdlHint: "A .cc, .ccc or .cdl file's text, an EDL's ASC_SOP and ASC_SAT, or nine or ten figures",
    cdlBad: "No correction that can be used was found in it.", cdlTold: "On linear ACEScg, without clamps. A CDL made for ACEScct does not fit.",
    onWalls: "On the walls", seenBy: "Seen by", canvas: "Canvas", waiting: "Waiting for the picture…", standsAs: (name: string) => `“${name}” is on`, noLook: "No look is on", changed: "changed since", stored: "as stored",
    store: "Store as a new look", replace: "Replace by what stands", replaceTold: (name: string) => `What stands becomes “${name}”; undo takes it back.`, keeps: "A look keeps", light: (scene: string) => `Light of ${scene}`, nothingKept: "Choose at least one part.",
    none: "No look is stored yet. Grade the walls, then store what stands.", putOnIt: (name: string) => `Put on “${name}”`, pick: "Choose a look.", seconds: "Over", atOnce: "At once", curve: "Curve",
    linear: "even", smooth: "smooth", ease_in: "slow start", ease_out: "slow end", s_curve: "S curve",
    label: "Name", notes: "Notes", remove: "Delete", sure: "Really delete", on: "on", search: "Find a look", sideA: "as A", sideB: "as B",
    ab: "A / B", flip: "Flip", flipTo: (side: string) => `Flip to ${side}`, abTold: "Choose two looks; X flips the walls between them.", choose: "choose", still: "what the camera sees with this look", drawing: "being drawn", apart: "The camera moved on between the two pictures.",
    differs: "What differs", now: "now", same: "Nothing differs.", wouldChange: (n: string) => `Putting it on changes ${n} values`, asConfigured: "as configured",
    keyPut: "Put the chosen look on", keyNext: "Next look", keyPrevious: "Look before", keyFlip: "Flip between A and B", keyStore: "Store what stands as a new look", keyUndo: "Take back the last change of looks", keyLayer: "Next layer", newLook: (n: string) => `Look ${n}`,
    covers: "keeps",
  },
  {
    looks: "外观", grade: "调色", layer: "调色对象", outer: "外画面", inner: "内画面", wall: "屏", graded: "已调色", neutral: "中性", neutralAll: "此层恢复中性", moving: "变化中",
    exposure_ev: "曝光", contrast: "对比度", saturation: "饱和度", white: "白点", temperature_k: "暖 – 冷", tint: "绿 – 品红", wheels: "暗部 · 中间调 · 亮部",
    lift: "暗部", gamma: "中间调", gain: "亮部", colour: "颜色", cdl_slope: "斜率", cdl_offset: "偏移", cdl_power: "幂", cdl_saturation: "CDL 饱和度",
    paste: "粘贴", load: "打开…", save: "存为 .cc", use: "采用", several: "含多个校正：用哪一个？", cdlHint: ".cc、.ccc 或 .cdl 文件的文本，EDL 的 ASC_SOP 与 ASC_SAT，或九到十个数字",
    cdlBad: "其中没有可用的校正。", cdlTold: "作用于线性 ACEScg，不钳位。为 ACEScct 制作的 CDL 不适用。",
    onWalls: "屏上画面", seenBy: "观看", canvas: "画布", waiting: "等待画面…", standsAs: (name: string) => `“${name}”生效中`, noLook: "没有外观生效", changed: "之后有改动", stored: "与存储一致",
    store: "存为新外观", replace: "以当前状态替换", replaceTold: (name: string) => `当前状态将成为“${name}”；可撤销。`, keeps: "外观包含", light: (scene: string) => `${scene} 的灯光`, nothingKept: "至少选择一项。",
    none: "还没有存储外观。先调色，再存储当前状态。", putOnIt: (name: string) => `套用“${name}”`, pick: "请选择外观。", seconds: "用时", atOnce: "立即", curve: "曲线",
    linear: "匀速", smooth: "平滑", ease_in: "缓起", ease_out: "缓停", s_curve: "S 曲线",
    label: "名称", notes: "备注", remove: "删除", sure: "确认删除", on: "生效", search: "查找外观", sideA: "设为 A", sideB: "设为 B",
    ab: "A / B", flip: "切换", flipTo: (side: string) => `切到 ${side}`, abTold: "选择两个外观；按 X 在屏上来回切换。", choose: "选择", still: "套用此外观时摄影机看到的画面", drawing: "正在生成", apart: "两张画面之间摄影机已移动。",
    differs: "差异", now: "现在", same: "没有差异。", wouldChange: (n: string) => `套用会改变 ${n} 项数值`, asConfigured: "配置值",
    keyPut: "套用选中的外观", keyNext: "下一个外观", keyPrevious: "上一个外观", keyFlip: "在 A 与 B 之间切换", keyStore: "把当前状态存为新外观", keyUndo: "撤销外观的上一步改动", keyLayer: "下一层", newLook: (n: string) => `外观 ${n}`,
    covers: "包含",
  },
);

/** What a layer of the walls is called. */
export function layerName(layer: string): string {
  const t = says.now;
  if (layer === "outer" || layer === "inner") return t[layer];
  const [kind, id = ""] = layer.split("/");
  return kind === "cameras" ? live.get("cameras", id)?.label || id : `${t.wall} ${id}`;
}
