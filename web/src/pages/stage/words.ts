import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    title: "Stage", view: "View", stage: "3D", dome: "Dome", flat: "Flat", from: "Look from", operator: "Operator", front: "Front", top: "Top", camera: "Camera",
    heat: "LED density", measure: "Measure", photo: "What the camera sees", waiting: "Waiting for the first photo…", frame: (n: string) => `frame ${n}`,
    noGl: "This browser draws no WebGL; everything else works.", loading: "The walls are being read…",
    fine: "finer than a photo pixel", near: "the grids may beat", coarse: "LEDs are seen", pickTwo: "Touch two places on the walls.",
    distance: (m: string) => `${m} m apart`, cabinet: "Cabinet", wall: "Wall", canvas: "Canvas", led: "LED", canvasPx: "Canvas pixel",
    identify: "Identify", stopIdentify: "Stop identifying", cameras: "Cameras", latency: "Tracker to wall", p99: "p99", shown: "shown", repeated: "repeated", pose: "Pose", lens: "Lens", tracked: (by: string) => `tracked by ${by}`, untracked: "not tracked",
    walls: "Canvases", touch: "Touch a wall to see what it is.", repeats: (why: string) => `repeats: ${why}`,
    keyFront: "Look from the front", keyTop: "Look from above", keyOperator: "Look from the operator's place", keyCamera: "Look from the camera", keyView: "3D, dome or flat",
  },
  {
    title: "舞台", view: "视图", stage: "三维", dome: "穹顶", flat: "展开", from: "观察位置", operator: "操作台", front: "正面", top: "俯视", camera: "摄影机",
    heat: "LED 密度", measure: "测量", photo: "摄影机所见", waiting: "等待第一张照片…", frame: (n: string) => `第 ${n} 帧`,
    noGl: "此浏览器不支持 WebGL；其他功能正常。", loading: "正在读取屏幕…",
    fine: "小于照片像素", near: "可能出现摩尔纹", coarse: "能看到 LED", pickTwo: "在屏幕上点两处。",
    distance: (m: string) => `相距 ${m} 米`, cabinet: "箱体", wall: "屏幕", canvas: "画布", led: "LED", canvasPx: "画布像素",
    identify: "识别", stopIdentify: "停止识别", cameras: "摄影机", latency: "从追踪到屏幕", p99: "p99", shown: "已显示", repeated: "重复", pose: "位姿", lens: "镜头", tracked: (by: string) => `由 ${by} 追踪`, untracked: "未追踪",
    walls: "画布", touch: "点击屏幕查看信息。", repeats: (why: string) => `重复：${why}`,
    keyFront: "从正面看", keyTop: "从上方看", keyOperator: "从操作台看", keyCamera: "从摄影机看", keyView: "三维、穹顶或展开",
  },
);
