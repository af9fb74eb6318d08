import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    next: "Next take", slate: "Slate", number: "Take", arm: "Arm", roll: "Roll", cut: "Cut", open: "Open the show", rolling: "rolling", armed: "armed", locked: "locked", openState: "unlocked",
    held: "Held by", takes: "Takes", none: "No takes yet. Arm one, roll, cut: it is listed here with its tracking.",
    circle: "Circle", ng: "NG", hold: "Hold", notes: "Notes", from: "From", to: "to", length: "Length", frames: "frames", scene: "Scene", who: "Rolled by",
    replay: "Play on the walls", loop: "again and again", stop: "Stop", playing: "plays on the walls: nobody else's tracking is heard.", noFile: "its tracking was not recorded", older: "Older",
    rec: "Tracking is recorded", noRec: "Tracking is not recorded: configure control.ledger", filter: "Show", all: "All", circled: "Circled",
    lockedTold: "Between takes of one set-up: arm the next one, or open the show.",
  },
  {
    next: "下一条", slate: "场镜号", number: "条", arm: "待命", roll: "开拍", cut: "停", open: "开放演出", rolling: "开拍中", armed: "待命", locked: "已锁", openState: "未锁",
    held: "持有者", takes: "条次", none: "还没有条次。待命、开拍、停：连同跟踪数据列在这里。",
    circle: "过", ng: "NG", hold: "保留", notes: "备注", from: "从", to: "到", length: "时长", frames: "帧", scene: "场景", who: "开拍者",
    replay: "在屏幕上重放", loop: "循环", stop: "停止", playing: "正在屏幕上重放：此时不接收其他跟踪。", noFile: "未录制跟踪数据", older: "更早",
    rec: "正在录制跟踪数据", noRec: "未录制跟踪数据：请配置 control.ledger", filter: "显示", all: "全部", circled: "过的",
    lockedTold: "同一机位的两条之间：请为下一条待命，或开放演出。",
  },
);
