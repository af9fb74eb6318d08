import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    title: "The stage with its cards", cards: "Cards and flags", keys: "Chroma keys", noGl: "This browser draws no 3D; place cards with the sliders.",
    light: "New light", flag: "New flag", isLight: "light", isFlag: "flag", none: "No cards. A light adds light from the walls, a flag takes some away; neither is in the shot unless marked.",
    drag: "Drag a card on the walls; it stays where you let it go.", visible: "On the walls", remove: "Delete", sure: "Delete it?", name: "Name", view: "How it is shown", stage: "Stage", dome: "Dome",
    pan: "Pan", tilt: "Tilt", width: "Width", height: "Height", spin: "Spin", nits: "Light", ev: "Stops", takes: "Takes away", temperature: "White", tint: "Tint", feather: "Feather", opacity: "Opacity",
    shape: "Shape", rectangle: "Rectangle", ellipse: "Ellipse", polygon: "Polygon", gradient: "Gradient", noGradient: "none", linear: "linear", radial: "radial", gradientEv: "At its end", gradientDeg: "Towards",
    inCamera: "In the shot of", walls: "Only on", newKey: (camera: string) => `Key for ${camera}`, green: "Green", blue: "Blue", custom: "Own colour", area: "Fills", inner: "Whole inner picture", frame: "What the lens sees",
    margin: "Margin", markers: "Markers", noMarkers: "none", crosses: "crosses", dots: "dots", triangles: "triangles", grid: "grid", spacing: "Spacing", space: "They stay", onStage: "on the wall", onCamera: "in the frame",
    sizeIn: "Its size is", inDeg: "an angle", inM: "metres at the wall", rank: "Covers (higher lies on top)", seenFrom: "Placed as seen from", fromEye: "the eye point", fromOwn: "a point of its own", allWalls: "all",
    corner: (n: number) => `Corner ${n}`, addCorner: "Add a corner", dropCorner: "Take this corner away", red: "Red", greenOne: "Green", blueOne: "Blue", size: "Size", line: "Line", codes: "Sent as exact codes",
    colour: "Colour", noKeys: "No key is set.",
  },
  {
    title: "舞台与灯卡", cards: "灯卡与遮光", keys: "抠像色", noGl: "此浏览器无法绘制三维；请用滑块放置灯卡。",
    light: "新灯卡", flag: "新遮光", isLight: "灯卡", isFlag: "遮光", none: "没有灯卡。灯卡从屏幕加光，遮光减光；不标记就不会进入画面。",
    drag: "在屏幕上拖动灯卡；松手即停。", visible: "显示在屏幕上", remove: "删除", sure: "确定删除？", name: "名称", view: "显示方式", stage: "舞台", dome: "穹顶",
    pan: "水平", tilt: "俯仰", width: "宽", height: "高", spin: "旋转", nits: "亮度", ev: "档数", takes: "减光", temperature: "白点", tint: "偏色", feather: "羽化", opacity: "不透明度",
    shape: "形状", rectangle: "矩形", ellipse: "椭圆", polygon: "多边形", gradient: "渐变", noGradient: "无", linear: "线性", radial: "径向", gradientEv: "末端", gradientDeg: "方向",
    inCamera: "进入画面", walls: "仅在", newKey: (camera: string) => `为 ${camera} 设抠像`, green: "绿", blue: "蓝", custom: "自定义", area: "填充", inner: "整个内画面", frame: "镜头所见",
    margin: "边距", markers: "标记", noMarkers: "无", crosses: "十字", dots: "圆点", triangles: "三角", grid: "网格", spacing: "间距", space: "固定", onStage: "在屏幕上", onCamera: "在画框中",
    sizeIn: "大小以", inDeg: "角度计", inM: "屏幕上的米计", rank: "层级（大的在上）", seenFrom: "从哪里看放置", fromEye: "视点", fromOwn: "自己的点", allWalls: "全部",
    corner: (n: number) => `角点 ${n}`, addCorner: "添加角点", dropCorner: "去掉此角点", red: "红", greenOne: "绿", blueOne: "蓝", size: "大小", line: "线宽", codes: "以精确码值输出",
    colour: "颜色", noKeys: "没有抠像。",
  },
);
