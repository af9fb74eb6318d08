import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    typical: "A typical frame, from packet to wall", budget: "Frame by frame", misses: "Slots that repeated an older picture", why: "Why", house: "Processes", clock: "Time", spreadIn: "Spread, ms", oldest: (n: string) => `from frame ${n} on`, empty: "No frames yet.",
    wait: "pose waits for the latch", plan: "plan", hand_over: "hand-over", draw: "draw", hold: "picture waits for its slot", ms: "ms", slots: "slots", shown: "shown", repeated: "repeated", oneFrame: "one frame",
    whyFrame: (n: string) => `Frame ${n}`, pick: "Touch a frame to see what became of it.", askFrame: "Frame number", look: "Look", live: "Live", stopped: "Stopped", interval: "Step", stalls: (n: string, ms: string) => `The machine stood still ${n} times, ${ms} ms in all.`,
    receive_to_latch: "pose waits for the latch", latch_to_plan: "plan made", receive_to_plan: "packet to plan", plan_to_draw: "hand-over", drawing: "draw", receive_to_present: "packet to wall", own_share: "controller's own share", age: (camera: string) => `pose at the photo, ${camera}`,
    noMisses: "None.", reason: "Reason", count: "Slots", stored: (frames: string, mb: string) => `${frames} frames are stored, ${mb}.`, lost: (n: string) => `${n} could not be written.`,
    drawn: (p50: string, p99: string) => `draws ${p50} ms, p99 ${p99}`, jamWaits: "Time jumps when the take is over.",
    clock_free: "free", clock_locking: "locking", clock_locked: "locked", clock_slewing: "slewing", clock_holdover: "holdover", clock_step_refused: "step refused",
    state_running: "running", state_starting: "starting", state_ready: "ready", state_gone: "gone", state_stale: "says nothing", state_failed: "failed", state_stopped: "stopped", conductor: "conductor", node: (id: string) => `node ${id}`, darkroom: "darkroom", restarts: (n: number) => `restarted ${n}×`, realTime: (n: number) => `real time ${n}`, normal: "normal priority", lead: (ms: string) => `lead ${ms} ms`, photo: (ms: string) => `${ms} ms a photo`,
    jam: "Jump to the reference", jammed: "Time has jumped.", free: "free running", system: "follows the system clock", timecode: "follows time code", display: "follows the displays", off: (us: string) => `${us} µs off`, aloneFor: (s: string) => `alone for ${s} s`, reference: "Reference", state: "State", error: "Error", slew: "Slew",
    keyFrame: "Look at the newest miss", keyEarlier: "Stop, and look at the frame before", keyLater: "Stop, and look at the frame after",
  },
  {
    typical: "典型的一帧：从数据包到屏幕", budget: "逐帧", misses: "重复旧画面的时隙", why: "原因", house: "进程", clock: "时间", spreadIn: "分布（毫秒）", oldest: (n: string) => `从第 ${n} 帧起`, empty: "还没有帧。",
    wait: "位姿等待锁存", plan: "规划", hand_over: "交接", draw: "绘制", hold: "画面等待时隙", ms: "毫秒", slots: "时隙", shown: "已显示", repeated: "重复", oneFrame: "一帧",
    whyFrame: (n: string) => `第 ${n} 帧`, pick: "点击一帧查看详情。", askFrame: "帧号", look: "查看", live: "实时", stopped: "已停", interval: "步骤", stalls: (n: string, ms: string) => `机器停顿 ${n} 次，共 ${ms} 毫秒。`,
    receive_to_latch: "位姿等待锁存", latch_to_plan: "生成规划", receive_to_plan: "数据包到规划", plan_to_draw: "交接", drawing: "绘制", receive_to_present: "数据包到屏幕", own_share: "控制器自身耗时", age: (camera: string) => `拍摄时位姿的年龄，${camera}`,
    noMisses: "没有。", reason: "原因", count: "时隙", stored: (frames: string, mb: string) => `已存储 ${frames} 帧，${mb}。`, lost: (n: string) => `${n} 帧无法写入。`,
    drawn: (p50: string, p99: string) => `绘制 ${p50} 毫秒，p99 ${p99}`, jamWaits: "这一条结束后才能跳转时间。",
    clock_free: "自由", clock_locking: "正在锁定", clock_locked: "已锁定", clock_slewing: "校正中", clock_holdover: "保持", clock_step_refused: "拒绝跳变",
    state_running: "运行中", state_starting: "启动中", state_ready: "就绪", state_gone: "不在", state_stale: "无消息", state_failed: "失败", state_stopped: "已停止", conductor: "指挥进程", node: (id: string) => `节点 ${id}`, darkroom: "暗房", restarts: (n: number) => `重启 ${n} 次`, realTime: (n: number) => `实时 ${n}`, normal: "普通优先级", lead: (ms: string) => `提前 ${ms} 毫秒`, photo: (ms: string) => `每张照片 ${ms} 毫秒`,
    jam: "跳到参考时间", jammed: "时间已跳转。", free: "自由运行", system: "跟随系统时钟", timecode: "跟随时间码", display: "跟随显示器", off: (us: string) => `偏差 ${us} 微秒`, aloneFor: (s: string) => `已独立运行 ${s} 秒`, reference: "参考", state: "状态", error: "误差", slew: "校正",
    keyFrame: "查看最近一次丢帧", keyEarlier: "停住并查看前一帧", keyLater: "停住并查看后一帧",
  },
);
