import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    scenes: "Scenes", onAir: "on air", next: "next", ready: "ready", cold: "cold", compiling: "compiling", loading: "loading", noPicture: "no picture yet", draw: "Draw its picture",
    how: "How", cut: "Cut", dissolve: "Dissolve", wipe: "Wipe", seconds: "Time", take: "Take", takeIt: (name: string) => `Take “${name}”`, pick: "Choose a scene to take.", angle: "Angle", keep: "Keep ready",
    curve: "Curve", linear: "linear", smooth: "smooth", ease_in: "ease in", ease_out: "ease out", position: "Stage position", exposure: "Exposure of all",
    values: "Live values", of: (name: string) => `Live values · ${name}`, search: "Find a value", reset: "As configured", resetAll: "All as configured", more: (n: number) => `${n} more`, fewer: "Fewer", nothing: "Nothing fits.",
    history: "History", noHistory: "Nothing was changed yet.", byStart: "start", kind_file: "the configuration file", kind_config: "configuration", kind_undo: "undo", kind_redo: "redo", kind_rollback: "back to then", undo: "Undo", restore: "Go back to here", undone: "undone", edited: "edited", sunDome: "Sun on the dome, drag it", playing: "Plays", speed: "Speed", problem: "Changed files are not shown", recompile: "Read its files anew",
    keyTake: "Take the chosen scene", keyNext: "Choose the next scene", keyPrevious: "Choose the scene before", keyUndo: "Take back the last change", library: "Library", noLibrary: "The configuration names no library: `library: {folder: assets}` does.",
    findScene: "Find a scene", memory: "Memory", memoryTold: "What scenes take on the GPU, and what they may", keepTold: "It stays loaded, whatever other scenes take", what: "What is moved", tabLight: "Sun & sky", tabLights: "Lamps", tabAir: "Fog", tabObjects: "Objects", tabAll: "All",
    exposedOnes: "Meant for the director", byPlace: "Sun by time and place", byAlmanac: "This sky follows its date, time and place.", date: "Date", latitude: "Latitude", longitude: "Longitude", north: "North (pan)", hour: "Hour", sunAt: (azimuth: string, elevation: string) => `azimuth ${azimuth}°, ${elevation}° high`, sunPut: "Put the sun there",
    noFog: "This scene has no fog; `fog: {distance_m: 3000}` in its configuration gives it some.", noLights: "This scene has no lamps of its own (`lights`).", noObjects: "This scene has no objects.", moveIt: (name: string) => `Move ${name} over the floor`, drag: "Drag to move: right +X, up +Y", reach: "How far across",
    openIt: "Open", shut: "Close", findFile: "Find a file: words of its path, name or tags", kind: "Kind", allKinds: "All", assets: "Assets", domes: "Domes", sceneFiles: "Scenes", pictures: "Pictures", a_asset: "asset", a_dome: "dome", a_picture: "picture", a_scene: "scene", files: (n: string) => `${n} files`, toDo: (read: string, draw: string) => `${read} to read, ${draw} to draw`, inUse: "in use",
    fact_triangles: "triangles", fact_meshes: "meshes", fact_materials: "materials", fact_textures: "textures", fact_lights: "lights", fact_skins: "skins", fact_objects: "objects", fact_animations: "animations", fact_variants: "variants", fact_low_m: "from, m", fact_high_m: "to, m", fact_width_px: "width, px", fact_height_px: "height, px",
    place: (scene: string) => `Put it into “${scene}”`, placed: (name: string, scene: string) => `${name} stands in “${scene}”: move it under Objects.`, placeByHand: "This scene is written in a way that only a person should change: see Setup.", label: "Name", tags: "Tags", copy: "Copy its path", copied: "Copied.", usedBy: "Used by", versions: "What it held before", presentOne: "now",
    sun: "Sun", sky: "Sky", dome: "Dome", fog: "Fog", lights: "Lights", objects: "Objects", general: "Picture", bindings: "Bindings", occlusion: "Occlusion",
  },
  {
    scenes: "场景", onAir: "播出中", next: "下一个", ready: "就绪", cold: "未载入", compiling: "编译中", loading: "载入中", noPicture: "还没有图片", draw: "生成图片",
    how: "方式", cut: "切换", dissolve: "叠化", wipe: "划变", seconds: "时间", take: "切出", takeIt: (name: string) => `切到“${name}”`, pick: "请选择要切出的场景。", angle: "角度", keep: "保持就绪",
    curve: "曲线", linear: "线性", smooth: "平滑", ease_in: "渐入", ease_out: "渐出", position: "舞台位置", exposure: "总曝光",
    values: "实时数值", of: (name: string) => `实时数值 · ${name}`, search: "查找数值", reset: "恢复配置值", resetAll: "全部恢复配置值", more: (n: number) => `还有 ${n} 项`, fewer: "收起", nothing: "没有符合的。",
    history: "历史", noHistory: "还没有改动。", byStart: "启动", kind_file: "配置文件", kind_config: "配置", kind_undo: "撤销", kind_redo: "重做", kind_rollback: "回到当时", undo: "撤销", restore: "回到这里", undone: "已撤销", edited: "已修改", sunDome: "穹顶上的太阳，可拖动", playing: "播放", speed: "速度", problem: "未显示已更改的文件", recompile: "重新读取文件",
    keyTake: "切出选中的场景", keyNext: "选择下一个场景", keyPrevious: "选择上一个场景", keyUndo: "撤销上一步", library: "素材库", noLibrary: "配置没有指定素材库：写上 `library: {folder: assets}` 即可。",
    findScene: "查找场景", memory: "显存", memoryTold: "场景占用与可用的显存", keepTold: "始终保持载入，不为其他场景让出", what: "调整对象", tabLight: "太阳与天空", tabLights: "灯具", tabAir: "雾", tabObjects: "物体", tabAll: "全部",
    exposedOnes: "开放给导演", byPlace: "按时间地点定太阳", byAlmanac: "此天空按日期、时间和地点运行。", date: "日期", latitude: "纬度", longitude: "经度", north: "北（水平角）", hour: "时刻", sunAt: (azimuth: string, elevation: string) => `方位 ${azimuth}°，高 ${elevation}°`, sunPut: "把太阳放到那里",
    noFog: "此场景没有雾；在配置中写 `fog: {distance_m: 3000}` 即可添加。", noLights: "此场景没有自己的灯具（`lights`）。", noObjects: "此场景没有物体。", moveIt: (name: string) => `在地面上移动 ${name}`, drag: "拖动移动：右 +X，上 +Y", reach: "范围",
    openIt: "打开", shut: "收起", findFile: "查找文件：路径、名称或标签中的词", kind: "类型", allKinds: "全部", assets: "模型", domes: "穹顶", sceneFiles: "场景", pictures: "图片", a_asset: "模型", a_dome: "穹顶", a_picture: "图片", a_scene: "场景", files: (n: string) => `${n} 个文件`, toDo: (read: string, draw: string) => `待读取 ${read}，待绘制 ${draw}`, inUse: "使用中",
    fact_triangles: "三角形", fact_meshes: "网格", fact_materials: "材质", fact_textures: "纹理", fact_lights: "灯光", fact_skins: "蒙皮", fact_objects: "物体", fact_animations: "动画", fact_variants: "变体", fact_low_m: "范围自（米）", fact_high_m: "范围至（米）", fact_width_px: "宽（像素）", fact_height_px: "高（像素）",
    place: (scene: string) => `放进“${scene}”`, placed: (name: string, scene: string) => `${name} 已放进“${scene}”：在“物体”中移动它。`, placeByHand: "这个场景的写法只宜由人修改：请看“设置”页。", label: "名称", tags: "标签", copy: "复制路径", copied: "已复制。", usedBy: "使用者", versions: "以前的内容", presentOne: "现在",
    sun: "太阳", sky: "天空", dome: "穹顶", fog: "雾", lights: "灯光", objects: "物体", general: "画面", bindings: "绑定", occlusion: "遮蔽",
  },
);
