import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    photo: "What the film camera will see", waiting: "Waiting for the first photo…", old: (s: string) => `the picture stands: ${s} s old`, leave: "Leave", frame: "Frame lines", none: "none", allLines: "all of the configuration", safe: "Safe areas", false: "False colour", controls: "Controls", camera: "Camera", full: "Full screen", take: "Take", noTake: "no take",
    light: "Light", looks: "Looks", picture: "Picture", exposure: "Exposure", reset: "As configured", nothing: "The operator gives no values of this scene.", scene: "Scene", scenes: "Scenes", sun: "Sun on the dome, drag it", frameN: (n: string) => `frame ${n}`,
    scopes: "Scope", waveform: "Waveform", parade: "Parade", vectorscope: "Vectorscope", histogram: "Histogram", off: "Off", clippedShare: (n: string) => `clipped ${n} %`, blackShare: (n: string) => `black ${n} %`,
    black: "black", deep: "deep shadow", shadow: "shadow", grey: "18 % grey", mid: "middle", skin: "skin", bright: "bright", near: "nearly clipped", clipped: "clipped",
    over: "Over", atOnce: "at once", noLooks: "No look is stored.", on: "on", changed: "changed", onAir: "on air", limits: "within what the operator allows", undo: "Undo",
    keyControls: "Show or hide the controls", keySafe: "Safe areas", keyFalse: "False colour", keyScope: "Next scope", keyFull: "Full screen", keyTab: "Next tab", keyFrame: "Next frame lines",
  },
  {
    photo: "电影摄影机将看到的画面", waiting: "等待第一张照片…", old: (s: string) => `画面停住：已 ${s} 秒`, leave: "离开", frame: "画幅线", none: "无", allLines: "配置中的全部", safe: "安全框", false: "伪色", controls: "控制", camera: "摄影机", full: "全屏", take: "条次", noTake: "无条次",
    light: "灯光", looks: "外观", picture: "画面", exposure: "曝光", reset: "恢复配置值", nothing: "操作员没有开放此场景的数值。", scene: "场景", scenes: "场景", sun: "穹顶上的太阳，可拖动", frameN: (n: string) => `第 ${n} 帧`,
    scopes: "示波器", waveform: "波形", parade: "RGB 分列", vectorscope: "矢量", histogram: "直方图", off: "关", clippedShare: (n: string) => `过曝 ${n} %`, blackShare: (n: string) => `全黑 ${n} %`,
    black: "全黑", deep: "深暗部", shadow: "暗部", grey: "18 % 灰", mid: "中间", skin: "肤色", bright: "亮部", near: "接近过曝", clipped: "过曝",
    over: "用时", atOnce: "立即", noLooks: "还没有存储外观。", on: "生效", changed: "有改动", onAir: "播出中", limits: "在操作员允许的范围内", undo: "撤销",
    keyControls: "显示或隐藏控制", keySafe: "安全框", keyFalse: "伪色", keyScope: "下一个示波器", keyFull: "全屏", keyTab: "下一个标签", keyFrame: "下一个画幅线",
  },
);
