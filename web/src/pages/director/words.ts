import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    photo: "What the film camera will see", waiting: "Waiting for the first photo…", leave: "Leave", frame: "Frame", none: "none", safe: "Safe areas", false: "False colour", scope: "Waveform", controls: "Light", camera: "Camera", full: "Full screen", take: "Take", noTake: "no take",
    exposure: "Exposure", reset: "As configured", nothing: "The operator gives no more values of this scene.", scene: "Scene", sun: "Sun on the dome, drag it", frameN: (n: string) => `frame ${n}`,
    keyControls: "Light and frame", keySafe: "Safe areas", keyFalse: "False colour", keyScope: "Waveform", keyFull: "Full screen",
  },
  {
    photo: "电影摄影机将看到的画面", waiting: "等待第一张照片…", leave: "离开", frame: "画幅", none: "无", safe: "安全框", false: "伪色", scope: "波形", controls: "灯光", camera: "摄影机", full: "全屏", take: "条次", noTake: "无条次",
    exposure: "曝光", reset: "恢复配置值", nothing: "操作员没有开放此场景的更多数值。", scene: "场景", sun: "穹顶上的太阳，可拖动", frameN: (n: string) => `第 ${n} 帧`,
    keyControls: "灯光与画幅", keySafe: "安全框", keyFalse: "伪色", keyScope: "波形", keyFull: "全屏",
  },
);
