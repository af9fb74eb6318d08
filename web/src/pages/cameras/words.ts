import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    fault: "fault", note: "note", frameLines: "Frame lines", predictedTold: "From the sample to the photo it is predicted for: its age at the photo", compared: "Misses of", rms_predicted: "prediction", rms_held: "holding still", rms_velocity: "constant speed",
    state_ok: "tracked", state_bad: "not trusted", state_coasting: "coasting", state_lost: "lost", state_waiting: "waiting", noPhoto: "No picture could be made.",
    step_still: "Stand still", step_pan_right: "Pan right", step_tilt_up: "Tilt up", step_roll_clockwise: "Roll clockwise", step_walk_right: "Move right", step_walk_forward: "Move forward", step_raise: "Raise",
    cameras: "Cameras", onAir: "On air", enabled: "Drawn", photo: "Photo", truth: "Truth", difference: "Difference", view: "What is shown", waiting: "Waiting for the first photo…", look: "Make it now", trackedBy: (by: string) => `tracked by ${by}`, untracked: "not tracked",
    pose: "Pose", lens: "Lens", focal: "Focal length", fov: "Field of view", focus: "Focus", stop: "Stop", sensor: "Sensor", predicted: "Age at the photo", quality: "Quality",
    overscan: "Overscan", auto: "Computed", fixed: "Fixed", frozen: "Frozen", mode: "How it is found", all: "All sides", margin: "Margin", least: "At least", most: "At most", soft: "Soft edge", blur: "Focus blur", now: (l: string, r: string, u: string, d: string) => `Now ${l}° left, ${r}° right, ${u}° up, ${d}° down`, cost: (p: string) => `${p} % more pixels`,
    causes: "Why so wide", cause_lens: "lens", cause_prediction: "prediction error", cause_hold: "one frame held", cause_feather: "soft edge", cause_focus: "focus", cause_margin: "margin",
    signal: "Tracking", protocol: "Protocol", rate: "Rate", age: "Age", jitter: "Jitter", lost: "Lost", refused: "Refused", dropped: "Dropped", drift: "Drift", sender: "From", error: "Prediction error", errorTold: "p50 / p99 at the photo", state: "State", moves: "moves it", stands: "stands by", prefer: "Prefer", byPriority: "By priority", rms: "predicted, held, constant velocity",
    delays: "Delays", cameraDelay: "Camera", sourceDelay: "Tracker", position: "Position", rotation: "Rotation", lensDelay: "Lens",
    lineUp: "Line-up", patterns: "Pictures on the walls", inner_grid: "Inner grid", eye_card: "Eye card", tile_outlines: "Tile outlines", alignment_grid: "Alignment grid", ramp: "Ramp", cabinet_map: "Cabinet map", frame_count: "Frame count", moving_bars: "Moving bars", bit_depth: "Bit depth", range: "Range", nit_steps: "Nit steps", checker: "Checker", nudge: "Nudge", nudgeTold: "Shift: ten steps", zero: "Set zero here", undoNudge: "Undo nudge", down: "down", up: "up", by: "by",
    guided: "Guided axis check", guidedTold: "Proves axes and signs of the tracker: move the camera as asked. Nothing changes before you apply it.", start: "Start the check", record: "Record", recording: "Recording: move now", done: "Done", end: "End the check", apply: "Apply what was found", right: "As configured, the moves come out right.", wrong: "The moves do not come out as they were made.", uncertain: "More steps make it certain.", heard: (n: number) => `${n} poses heard`, turned: "turned", moved: "moved", applied: "Applied: the configuration is changed.",
    resolution: "Inner picture", texels: "texels an LED", raster: "raster", walls: "Walls", none: "No camera is configured.", reset: "Back to none", outer: "Outer", live: "every frame", every: "every few frames", keyNext: "The next camera", keyGrid: "Inner grid on or off", keyOutlines: "Tile outlines on or off", keyZero: "Set zero here",
  },
  {
    fault: "错误", note: "说明", frameLines: "取景框", predictedTold: "从采样到所预测的拍摄时刻：拍摄时的年龄", compared: "误差", rms_predicted: "预测", rms_held: "保持不动", rms_velocity: "匀速",
    state_ok: "追踪中", state_bad: "不可信", state_coasting: "惯性推算", state_lost: "丢失", state_waiting: "等待", noPhoto: "无法生成画面。",
    step_still: "静止不动", step_pan_right: "向右摇", step_tilt_up: "向上仰", step_roll_clockwise: "顺时针滚转", step_walk_right: "向右平移", step_walk_forward: "向前移动", step_raise: "升高",
    cameras: "摄影机", onAir: "播出", enabled: "绘制", photo: "照片", truth: "真值", difference: "差异", view: "显示内容", waiting: "等待第一张照片…", look: "现在生成", trackedBy: (by: string) => `由 ${by} 追踪`, untracked: "未追踪",
    pose: "位姿", lens: "镜头", focal: "焦距", fov: "视场角", focus: "对焦", stop: "光圈", sensor: "感光面", predicted: "拍摄时的年龄", quality: "质量",
    overscan: "过扫描", auto: "自动计算", fixed: "固定", frozen: "冻结", mode: "计算方式", all: "四边", margin: "余量", least: "至少", most: "至多", soft: "柔边", blur: "焦外模糊", now: (l: string, r: string, u: string, d: string) => `当前 左 ${l}°，右 ${r}°，上 ${u}°，下 ${d}°`, cost: (p: string) => `像素多 ${p} %`,
    causes: "为什么这么宽", cause_lens: "镜头", cause_prediction: "预测误差", cause_hold: "保持一帧", cause_feather: "柔边", cause_focus: "对焦", cause_margin: "余量",
    signal: "追踪", protocol: "协议", rate: "频率", age: "延迟", jitter: "抖动", lost: "丢失", refused: "拒绝", dropped: "丢弃", drift: "漂移", sender: "来源", error: "预测误差", errorTold: "拍摄时 p50 / p99", state: "状态", moves: "正在驱动", stands: "备用", prefer: "优先", byPriority: "按优先级", rms: "预测、保持、匀速",
    delays: "延迟", cameraDelay: "摄影机", sourceDelay: "追踪器", position: "位置", rotation: "旋转", lensDelay: "镜头",
    lineUp: "校准", patterns: "屏幕上的图案", inner_grid: "内框网格", eye_card: "视点卡", tile_outlines: "拼块边框", alignment_grid: "对齐网格", ramp: "灰阶", cabinet_map: "箱体图", frame_count: "帧计数", moving_bars: "移动条", bit_depth: "位深", range: "范围", nit_steps: "亮度阶梯", checker: "棋盘格", nudge: "微调", nudgeTold: "按住 Shift：十步", zero: "在此归零", undoNudge: "撤销微调", down: "减", up: "加", by: "每步",
    guided: "引导轴向检查", guidedTold: "验证追踪器的轴向和符号：按提示移动摄影机。应用之前不会有任何更改。", start: "开始检查", record: "记录", recording: "记录中：请移动", done: "完成", end: "结束检查", apply: "应用结果", right: "按当前配置，移动结果正确。", wrong: "移动结果与实际不符。", uncertain: "完成更多步骤可以确定。", heard: (n: number) => `收到 ${n} 个位姿`, turned: "转动", moved: "移动", applied: "已应用：配置已更改。",
    resolution: "内框画面", texels: "纹素/LED", raster: "分辨率", walls: "屏幕", none: "没有配置摄影机。", reset: "清零", outer: "外框", live: "每帧", every: "隔几帧", keyNext: "下一台摄影机", keyGrid: "内框网格开关", keyOutlines: "拼块边框开关", keyZero: "在此归零",
  },
);
