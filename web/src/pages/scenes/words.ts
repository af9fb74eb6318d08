import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    scenes: "Scenes", onAir: "on air", next: "next", ready: "ready", cold: "cold", compiling: "compiling", loading: "loading", noPicture: "no picture yet", draw: "Draw its picture",
    how: "How", cut: "Cut", dissolve: "Dissolve", wipe: "Wipe", seconds: "Time", take: "Take", takeIt: (name: string) => `Take “${name}”`, pick: "Choose a scene to take.", angle: "Angle", keep: "Keep ready",
    curve: "Curve", linear: "linear", smooth: "smooth", ease_in: "ease in", ease_out: "ease out", position: "Stage position", exposure: "Exposure of all",
    values: "Live values", of: (name: string) => `Live values · ${name}`, search: "Find a value", reset: "As configured", resetAll: "All as configured", more: (n: number) => `${n} more`, fewer: "Fewer", nothing: "Nothing fits.",
    history: "History", undo: "Undo", restore: "Go back to here", undone: "undone", edited: "edited", sunDome: "Sun on the dome, drag it", playing: "Plays", speed: "Speed", problem: "Changed files are not shown", recompile: "Read its files anew",
    keyTake: "Take the chosen scene", keyNext: "Choose the next scene", keyPrevious: "Choose the scene before", keyUndo: "Take back the last change", library: "Library", noLibrary: "no library",
    sun: "Sun", sky: "Sky", dome: "Dome", fog: "Fog", lights: "Lights", objects: "Objects", general: "Picture", bindings: "Bindings", occlusion: "Occlusion",
    pan_deg: "Direction", elevation_deg: "Height", illuminance: "Brightness", colour: "Colour", shadow: "Shadow", yaw_deg: "Turn", exposure_ev: "Exposure", background: "Background", light: "Lights the scene",
    distance_m: "Distance", base_m: "Base", falloff_m: "Falloff", sun_glow: "Sun glow", glow_forward: "Glow forward", sky_distance_m: "Sky distance", ambient: "Ambient", visible: "Seen", scale: "Size", tilt_deg: "Tilt", roll_deg: "Roll", animation: "Animation", on: "On", later_h: "Later", haze: "Haze",
  },
  {
    scenes: "场景", onAir: "播出中", next: "下一个", ready: "就绪", cold: "未载入", compiling: "编译中", loading: "载入中", noPicture: "还没有图片", draw: "生成图片",
    how: "方式", cut: "切换", dissolve: "叠化", wipe: "划变", seconds: "时间", take: "切出", takeIt: (name: string) => `切到“${name}”`, pick: "请选择要切出的场景。", angle: "角度", keep: "保持就绪",
    curve: "曲线", linear: "线性", smooth: "平滑", ease_in: "渐入", ease_out: "渐出", position: "舞台位置", exposure: "总曝光",
    values: "实时数值", of: (name: string) => `实时数值 · ${name}`, search: "查找数值", reset: "恢复配置值", resetAll: "全部恢复配置值", more: (n: number) => `还有 ${n} 项`, fewer: "收起", nothing: "没有符合的。",
    history: "历史", undo: "撤销", restore: "回到这里", undone: "已撤销", edited: "已修改", sunDome: "穹顶上的太阳，可拖动", playing: "播放", speed: "速度", problem: "未显示已更改的文件", recompile: "重新读取文件",
    keyTake: "切出选中的场景", keyNext: "选择下一个场景", keyPrevious: "选择上一个场景", keyUndo: "撤销上一步", library: "素材库", noLibrary: "没有素材库",
    sun: "太阳", sky: "天空", dome: "穹顶", fog: "雾", lights: "灯光", objects: "物体", general: "画面", bindings: "绑定", occlusion: "遮蔽",
    pan_deg: "方向", elevation_deg: "高度", illuminance: "亮度", colour: "颜色", shadow: "阴影", yaw_deg: "旋转", exposure_ev: "曝光", background: "背景", light: "照亮场景",
    distance_m: "距离", base_m: "基准高度", falloff_m: "衰减", sun_glow: "日晕", glow_forward: "前向散射", sky_distance_m: "天空距离", ambient: "环境光", visible: "可见", scale: "大小", tilt_deg: "俯仰", roll_deg: "横滚", animation: "动画", on: "开启", later_h: "推后", haze: "霾",
  },
);
