import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    canvases: "Canvases", patterns: "Test pictures", processors: "Processors", streams: "Network streams", windows: "Windows", sections: "Parts of the outputs",
    waiting: "No picture yet", frame: "frame", node: "Node", to: "To", light: "To light", frames: "frames", ms: "ms", walls: "Walls",
    freeze: "Freeze", black: "Black", identify: "Identify", delayFrames: "Hold back", delayMs: "After its processor",
    frozen: "frozen", isBlack: "black", flashing: "flashing its name", late: "repeats", held: (n: number) => `${n} back, so that all leave together`, size: "Size", code: "Code",
    patternsTold: "Drawn over everything, straight to the walls: no look, no exposure. Choose where; with nothing chosen it is on all.",
    off: "Take all away", everywhere: "everywhere", on: "on", none: "No canvases are configured.",
    noProcessors: "No processors are configured.", ready: "ready", away: "away", busy: "busy", locked: "locked by another", never: "not spoken to", strange: "answers strangely",
    emulated: "emulated", firmware: "firmware", temperature: "Hottest", panels: "Panels", input: "Input", noInput: "nothing arrives", used: "of its tightest limit", delay: "Delay",
    drift: "Not as the show wants it", wanted: "wanted", found: "found", same: "As the show wants it.", nothingWanted: "The show wants nothing of it.",
    restore: "Set it right", keep: "Keep what it has", restoreAll: "Set all right", dry: "What would change", nothing: "Nothing would change.", restored: "Set and read back.", kept: "The show wants it so from now on.",
    settings: "Settings", refused: "It did not take", state: "State", packets: "Packets", begun: "First packet", enabled: "Sends", noStreams: "No canvas is sent over a network.",
    noWindows: "No canvas is shown in a window.", shown: "Shown", mixed: "Mixed", monitors: "Monitors", bits: "bit", fans: "Slowest fan", rate: "Rate",
  },
  {
    canvases: "画布", patterns: "测试图", processors: "处理器", streams: "网络流", windows: "窗口", sections: "输出的各部分",
    waiting: "还没有画面", frame: "帧", node: "节点", to: "送往", light: "到发光", frames: "帧", ms: "毫秒", walls: "墙",
    freeze: "冻结", black: "全黑", identify: "识别", delayFrames: "延后", delayMs: "处理器之后",
    frozen: "已冻结", isBlack: "全黑", flashing: "正在闪烁名称", late: "重复", held: (n: number) => `延后 ${n} 帧，使所有输出同时发出`, size: "尺寸", code: "编码",
    patternsTold: "画在一切之上，直接上墙：不经调色，不经曝光。选择位置；不选则显示在全部位置。",
    off: "全部撤下", everywhere: "全部", on: "显示中", none: "没有配置画布。",
    noProcessors: "没有配置处理器。", ready: "就绪", away: "无应答", busy: "忙", locked: "被他人锁定", never: "不通信", strange: "应答异常",
    emulated: "模拟", firmware: "固件", temperature: "最高温度", panels: "箱体", input: "输入", noInput: "没有信号", used: "（最紧的上限）", delay: "延迟",
    drift: "与演出要求不符", wanted: "要求", found: "实际", same: "与演出要求一致。", nothingWanted: "演出对它没有要求。",
    restore: "恢复", keep: "保留现状", restoreAll: "全部恢复", dry: "将有哪些变化", nothing: "不会有变化。", restored: "已设置并读回。", kept: "演出从此以此为准。",
    settings: "设置", refused: "未接受", state: "状态", packets: "数据包", begun: "首包", enabled: "发送", noStreams: "没有画布经网络发送。",
    noWindows: "没有画布显示在窗口中。", shown: "已显示", mixed: "混合", monitors: "显示器", bits: "位", fans: "最慢风扇", rate: "速率",
  },
);
