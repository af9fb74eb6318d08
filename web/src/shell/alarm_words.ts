// What alarms say in Chinese, by their code. The service tells them in English with their figures; a code that is not
// here (a newer service) is shown as it was told. `tests/console` keeps the list whole.

import { language } from "../lib/lang.svelte";
import { mendWords } from "../lib/mend_words";
import { live } from "../lib/live.svelte";

export interface Told {
  code: string;
  path: string;
  detail: string;
  mend?: string;
  values?: Values;
}
type Values = Record<string, unknown>;
type Text = string | ((v: Values, told: Told) => string);

const REASONS: Record<string, [why: string, mend: string]> = {
  late_draw: ["绘制超过一帧的时间", "增大 render.scale，换更小的场景，或使用显卡"],
  late_plan: ["帧计划来得太晚", "减轻这台机器的负载；实时权限见“设置”页的开演前检查"],
  host_stall: ["机器有停顿", "减轻这台机器的其他负载"],
  fenced: ["有节点不在", "不用处理：它会自动重启；若一直不恢复，“时序”页写明是哪个进程，原因见其日志"],
  late_engine: ["外部引擎迟到", "查看引擎自己的日志，或关闭它"],
  none: ["节点没有说明原因", "请报告此问题"],
};
const reason = (code: unknown): [string, string] => REASONS[String(code)] ?? REASONS.none!;
const list = (values: unknown): string => (Array.isArray(values) ? values.join("、") : String(values ?? ""));
const figure = (value: unknown, digits = 0): string => (typeof value === "number" ? String(Number(value.toFixed(digits))) : "?");
const own: Text = (_, told) => mendWords(told.mend ?? "");
const GONE: Record<string, string> = {
  conductor: "节点自行继续；不再跟随摄影机", darkroom: "无法制作照片", processors: "LED 处理器保持现状，无人照看", windows: "显示器保持最后的画面",
};
const gone = (told: Told): string => GONE[told.path.split("/")[0]!] ?? "它的屏幕保持最后的画面";
const RESTART = "监督进程会在一秒内重启它；若一直不恢复，请读它的日志";
const NO_RIGHTS = "没有实时权限：机器繁忙时画面可能迟到";
const FREE_DISK = "请腾出该磁盘的空间";
const NODE_MEND = "看节点的日志；把改动撤回即可恢复";

const CHINESE: Record<string, [what: Text, mend: Text]> = {
  "tracking.source_lost": ["没有收到追踪数据；摄影机保持最后的位姿", "检查追踪器是否在运行，并且发往这个地址"],
  "tracking.source_bad": ["收到的追踪数据不能用；保持最后一个好的位姿", "检查该源的协议、单位和范围限制"],
  "tracking.second_sender": [(v) => `有第二个发送者：${v.rival}；以先来的 ${v.holder} 为准`, "停止其中一个"],
  "tracking.second_source": [(v) => `几个源同时驱动这台摄影机（${list(v.sources)}）；以 ${v.moves} 为准`, "删除一个源、换给另一台摄影机，或用优先级区分"],
  "tracking.failed_over": [(v) => `${v.lost} 丢失，改由 ${v.moves} 驱动摄影机`, "恢复后在摄影机上重新选择首选源"],
  "tracking.clock_set": ["发送者的时钟被调过；位姿已重新对时", "通常不用处理；若反复出现，请锁定发送者的时钟（PTP、NTP），或设 match: arrival"],
  "tracking.clock_stalled": ["发送者的时间戳不动；改用到达时间", "设 match: arrival，或启动发送者的时钟"],
  "tracking.timecode_apart": [(v) => `它的时间码比演出晚 ${figure(Number(v.behind_ms) / 1000, 3)} 秒；按独立时钟对时`, "用同一个源对两者同步，或设 match: sample_time 或 match: arrival"],
  "tracking.lens": ["镜头数据有误；保持最后可用的值", "让编码器归位，或改正镜头表或追踪器发送的内容"],
  "tracking.device": [(v) => `设备或串口 ${v.device} 不可用`, "插好它，改正 listen，或给演出用户读取权限（dialout 组）"],
  "tracking.flood": [(v) => `${v.address} 收到大量无关数据；只听已在驱动的发送者`, "停止往那里发送的程序，或在 allow 中写明追踪器地址"],
  "tracking.listen": [(v) => `无法监听追踪地址 ${v.address}`, "检查地址，或停止占用它的程序"],
  "clock.holdover": ["时间基准丢失：帧按最后的速度继续", "恢复基准；帧会以百万分之五十的速度回到基准，不跳变"],
  "clock.no_blank": ["收不到显示器的垂直同步：帧按本机时钟计数", "检查窗口及其显示器；没有垂直同步的驱动不提供它"],
  "clock.numbers_ahead": [(v) => `帧号比 TAI 超前 ${v.off_frames} 帧：与其他机器计数不同`, "没有拍摄时重新启动演出"],
  "clock.numbers_behind": [(v) => `帧号比 TAI 落后 ${v.off_frames} 帧：与其他机器计数不同`, "没有拍摄时执行“跳到基准”（/frames/jam）"],
  "clock.tai_slip": [(v) => `系统时钟跳了 ${v.slip_s} 秒：把 UTC 当成了 TAI；帧继续`, "改正 phc2sys；时钟正确后一切如前"],
  "clock.step_refused": [(v) => `基准偏离 ${figure(v.off_ms, 3)} 毫秒，无法渐进校正：帧照常继续`, "没有拍摄时执行“跳到基准”（/frames/jam）"],
  "clock.timecode_silent": ["没有时间码进来", "检查线缆、电平和发送者"],
  "clock.timecode_reverse": ["时间码倒着走", "正向播放"],
  "clock.timecode_stopped": ["时间码不动", "启动它"],
  "clock.timecode_jumped": ["拍摄中时间码跳变：标签照常继续", "本条结束后自动采用"],
  "clock.timecode_rate": ["时间码速率与演出不符", "两者设为相同速率，或设 time/timecode/labels_per_s"],
  "clock.timecode_drop_frame": ["时间码的丢帧标志与演出不符", "设 time/drop_frame，或改发送者"],
  "clock.unsynchronised": ["没有程序校准系统时钟", "启动 ptp4l 和 phc2sys，或 chronyd"],
  "clock.grandmaster_lost": ["ptp4l 听不到主时钟", "检查 ptp4l、主时钟、交换机和 PTP 域"],
  "clock.ptp_settling": [(v) => `听到主时钟，但尚未锁定（偏差 ${v.off_ns} 纳秒）`, "等待；若一直如此，检查网络抖动"],
  "clock.tai_unset": [(v) => `系统时钟已校准，但内核不知道 TAI 偏移：按 ${v.assumed_s} 秒计`, "phc2sys、chrony 的 leapsectz，或 adjtimex --tai 37"],
  "clock.utc_offset": [(v) => `主时钟与内核的 TAI 偏移不一致（${v.grandmaster_s} 秒与 ${v.kernel_s} 秒）`, "改正偏移：phc2sys、chrony 的 leapsectz，或 adjtimex --tai 37"],
  "runtime.timecode_source": ["无法接收时间码", "检查设备和配置"],
  "conductor.plan_failed": ["无法生成帧计划：重复上一个", "撤销最近的改动，并查看指挥进程的日志"],
  "conductor.no_realtime": [NO_RIGHTS, own],
  "node.no_realtime": [NO_RIGHTS, own],
  "node.draw_failed": ["绘制失败：保持最后的画面", NODE_MEND],
  "node.ahead_failed": ["预先准备失败；画面继续", NODE_MEND],
  "node.present_failed": ["画面无法送出：保持最后的画面", NODE_MEND],
  "node.plan_unreadable": ["读不懂帧计划：保持最后的画面", NODE_MEND],
  "node.engine_late": [(v) => `外部引擎连续 ${v.missed_frames} 帧没有及时交出画面：${v.held ? "保持它最后的画面" : "改用自己的画面"}`, "重新启动该引擎，或关闭它（engines/…/enabled）"],
  "process.gone": [(_, told) => `它不在了：${gone(told)}`, RESTART],
  "process.stale": [(_, told) => `它没有反应：${gone(told)}`, RESTART],
  "supervisor.given_up": [(v) => `它结束了 ${v.ends} 次，不再立即重启`, "读它的日志；隔一段时间会再试"],
  "frames.repeated": [(v) => `约 ${v.repeated_percent} % 的帧重复旧画面，多数因为${reason(v.reason)[0]}`, (v) => reason(v.reason)[1]],
  "scenes.broken": [(v) => `改动过的场景文件有错（${v.place}），没有采用；仍显示原来的`, "改正文件：文件变化后会自动再试"],
  "store.room": [(v) => `保存演出的磁盘只剩 ${v.free_mb} MB`, "请腾出空间：磁盘满时会拒绝改动和条次"],
  "store.backup": ["无法备份演出", "请腾出空间；若存储已损坏，请重新启动演出"],
  "store.damaged": [(v) => `保存的演出已损坏，已移到 ${v.moved_to}；${v.backup ? `由备份 ${v.backup} 代替` : "没有可用的备份，已重新开始"}`, "检查是否缺少改动；确认之前保留那个文件"],
  "recorder.not_written": ["账本写不进磁盘；演出继续", "腾出该磁盘的空间，或减小 control.ledger.keep_mb；每几秒会再试"],
  "recorder.recording_ended": ["追踪不再录制；演出继续", "腾出该磁盘的空间，再开始新的录制"],
  "controller.takes": ["条次没有保存；屏幕继续", `${FREE_DISK}，再待命并开拍`],
  "controller.replaying": [(v) => `条次 ${v.take} 正在屏幕上重放：不听实时追踪`, "在“条次”页停止，或等它结束"],
  "controller.store": ["保存演出的数据库不接受写入：改动被拒绝；画面和紧急按钮照常", FREE_DISK],
  "controller.osc_port": [(v) => `OSC 控制没有监听 ${v.address}`, "结束占用该端口的程序，或换一个端口"],
  "controller.midi": [(v) => `听不到 MIDI 设备 ${v.device}`, "插好它；cat /proc/asound/cards 列出现有设备"],
  "capture.trouble": ["离线录制遇到问题", FREE_DISK],
  "relay.not_open": ["转发无法打开", "目标和网络接口须属于本机的网络"],
  "relay.unsendable": [(v) => `最近一秒有 ${v.lost} 个位姿没能转发出去`, "检查到目标的网络，以及其协议能否表示这些位置"],
  "relay.version": ["转发进程读不懂数据", "重新启动演出"],
  "nmos.port": [(v) => `NMOS 没有监听 ${v.address}`, "结束占用该端口的程序，或换一个端口"],
  "nmos.registry": ["没有登记到 NMOS 注册服务", "检查注册服务和 control.nmos.registries；也可直接把本机地址给控制器"],
  "sender.refused": [(v) => `本机网络拒绝发往 ${list(v.paths)} 的数据包`, "检查网络接口、线缆和路由；两条路径可容忍一条故障"],
  "sender.late": [(v) => `最近 ${v.window_s} 秒有 ${v.late_frames} 帧发送迟到`, "减轻机器负载，或减少发送的像素"],
  "sender.stalled": ["没有新画面；反复发送最后一帧", "查看绘制它的节点"],
  "sender.cannot_send": ["无法发送", "把源地址设为本机某个网络接口的地址或名称"],
  "sender.no_ndi": ["NDI 不可用：这个输出不发送", own],
  "sender.no_device": ["视频设备不可用", "插好设备，或改正 outputs 中的设备路径"],
  "processor.away": ["处理器没有应答", "检查它的电源、线缆和地址"],
  "processor.locked": ["处理器被另一台主机占用", "在那台主机上释放它"],
  "processor.busy": ["处理器忙", "等它启动完成，或在它上面载入项目"],
  "processor.trouble": [(v) => `处理器报告问题：${list(v.troubles)}`, "请在处理器上查看"],
  "processor.no_signal": [(v) => `处理器输入端 ${v.input} 没有信号`, "检查线缆和输出"],
  "processor.rate": [(v) => `处理器输入为 ${figure(v.found_hz, 3)} Hz，演出为 ${figure(v.wanted_hz, 3)} Hz`, "把输出设为演出的帧率或其整数倍"],
  "processor.drift": [(v) => `处理器的设置 ${v.setting} 是 ${v.found}，演出要求 ${v.wanted}`, "在“输出”页恢复为演出要求的值，或改为以它为准"],
  "processor.size": ["输入与画布大小不同：画面被缩放", "把输出和处理器设为画布的大小"],
  "processor.latency": [(v) => `处理器延迟 ${figure(v.real_frames, 2)} 帧，配置为 ${figure(v.configured_frames, 2)} 帧`, "改正 latency_frames，或让处理器回到原模式"],
  "processor.capacity": ["超出处理器的能力", "降低帧率、倍率或位深，或把部分拼块交给另一台处理器"],
  "windows.monitor_twice": [(v) => `它与 ${v.monitor} 指同一台显示器（${v.connector}）`, "分别用各自的接口或序列号命名"],
  "windows.monitor_ambiguous": [(v) => `有几台显示器都符合（${list(v.connectors)}）；用了 ${v.connector}`, "用接口或序列号写明是哪一台"],
  "windows.monitor_moved": [(v) => `显示器接在 ${v.connector} 上，不在 ${v.configured}；画面跟随它`, "插回原处，或改正配置"],
  "windows.monitor_lost": ["显示器不在", "检查电源、线缆和接口"],
  "windows.monitor_off": [(v) => `显示器 ${v.connector} 被关闭`, own],
  "windows.monitor_mode": [(v) => `显示模式为 ${v.found_px}，需要 ${v.wanted_px}：画面被裁切或缩放`, own],
  "windows.monitor_scale": [(v) => `显示器把 ${v.found_px} 缩放到 ${v.wanted_px}：像素不再一一对应`, own],
  "windows.monitor_position": [(v) => `显示器位置是 ${v.found_px}，配置为 ${v.wanted_px}；画面跟随它`, own],
  "windows.monitor_rate": [(v) => `刷新率 ${figure(v.found_hz, 3)} Hz 与演出不符`, own],
  "windows.monitors_overlap": [(v) => `它与 ${v.monitor} 显示了重叠的部分`, own],
  "windows.monitor_covered": [(v) => `另一台显示器 ${v.connector} 夹在本窗口的显示器之间，被盖住`, "把它移开"],
  "windows.no_display": ["打不开显示服务", "检查 X 服务和 DISPLAY"],
  "windows.bits": [(v) => `位深 ${v.found_bits} 低于要求的 ${v.wanted_bits}`, "检查显示器和驱动的位深设置"],
  "windows.no_blank": ["交换不等垂直同步：画面可能撕裂", "使用支持垂直同步的驱动并保持开启"],
  "windows.swap_group": ["同步组被拒绝", "检查同步卡和驱动"],
};

const PLACES = {
  en: {
    sources: "Tracking source", nodes: "Node", cameras: "Camera", processors: "LED processor", processes: "Process", scenes: "Scene", streams: "Stream", windows: "Window",
    canvases: "Canvas", conductor: "Conductor", frames: "Frames", takes: "Takes", clock: "Clock", store: "The stored show", recorder: "Ledger", engines: "Engine", relays: "Relay",
    darkroom: "Darkroom", captures: "Capture", plans: "Plans", subjects: "Subject", outputs: "Output", monitors: "monitor",
  },
  zh: {
    sources: "追踪源", nodes: "节点", cameras: "摄影机", processors: "LED 处理器", processes: "进程", scenes: "场景", streams: "网络流", windows: "窗口",
    canvases: "画布", conductor: "指挥进程", frames: "帧", takes: "条次", clock: "时钟", store: "演出存储", recorder: "账本", engines: "外部引擎", relays: "转发",
    darkroom: "暗房", captures: "离线录制", plans: "帧计划", subjects: "被摄物", outputs: "输出", monitors: "显示器",
  },
} as const;

/** Where something is, as an operator calls it: `cameras/a` is its label. */
export function placeName(path: string): string {
  const [kind = "", id, ...rest] = path.split("/");
  if (kind === "control" || kind === "time") return path;
  const names = PLACES[language.code] as Record<string, string>;
  if (!(kind in names)) return path;
  const labelled = id && ["cameras", "canvases", "scenes", "processors"].includes(kind) ? live.get(kind as "cameras", id)?.label : undefined;
  const name = labelled && !(labelled in names) ? labelled : [names[kind], id].filter(Boolean).join(" ");
  return [name, ...rest.map((one) => names[one] ?? one.replaceAll("_", " "))].join(" · ");
}

const say = (text: Text, told: Told): string => (typeof text === "string" ? text : text(told.values ?? {}, told));

/** What is wrong, and what to do, in the console's language. */
export function alarmWords(told: Told): { detail: string; mend: string; original: string } {
  const known = language.code === "zh" ? CHINESE[told.code] : undefined;
  if (!known) return { detail: told.detail, mend: told.mend ?? "", original: "" };
  return { detail: say(known[0], told), mend: say(known[1], told), original: told.detail };
}
