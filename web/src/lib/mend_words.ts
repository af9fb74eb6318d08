// What to do, in Chinese, where the service's sentence carries what only it knows (a device, an interface, a command):
// mends of findings and of alarms. Commands stand as they are typed.

import { inWords, type Form } from "./forms";

const MENDS: Form[] = [
  // controller/preflight.py
  [/^(.+); the show runs without$/, (mend) => `${mendWords(mend!)}；没有它演出也能运行`],
  [/^(`tc qdisc .+`) has the kernel pace it$/, (command) => `${command} 让内核按时发送`],
  [/^check cable and output$/, "检查线缆和输出"],
  [/^end the program that uses it, or change the port$/, "结束占用它的程序，或换一个端口"],
  [/^enlarge it \(container: --shm-size\), or raise render\.scale$/, "扩大它（容器：--shm-size），或增大 render.scale"],
  [/^fine for the demo and tests; put a GPU with GL 4\.5 into a machine that feeds walls$/, "演示和测试够用；驱动屏幕的机器请装支持 GL 4.5 的显卡"],
  [/^mount a tmpfs there$/, "在那里挂载 tmpfs"],
  [/^name an interface of this machine that has an IPv4 address and a route there$/, "写明本机一个有 IPv4 地址、且有路由到那里的网络接口"],
  [/^plug it in; the show runs without and looks again every second$/, "插好它；没有它演出也能运行，每秒会再看一次"],
  [/^run as root or its group, or linuxptp 4 with uds_ro_address (\S+)$/, (path) => `以 root 或其用户组运行，或用 linuxptp 4 并设 uds_ro_address ${path}`],
  [/^see to it at the processor$/, "请在处理器上处理"],
  [/^set the output to the show's rate or a whole multiple of it$/, "把输出设为演出的帧率或其整数倍"],
  [/^set time\/ptp\/domain to ptp4l's domainNumber$/, "把 time/ptp/domain 设为 ptp4l 的 domainNumber"],
  [/^use 4 or more$/, "请用 4 个或更多"],
  // controller/windows
  [/^give the X server `DefaultDepth 30` \(xorg\.conf\)$/, "为 X 服务设 `DefaultDepth 30`（xorg.conf）"],
  [/^see the X server's log, and the driver's version$/, "查看 X 服务的日志和驱动版本"],
  [/^put a graphics card behind it$/, "为它装上显卡"],
  [/^see to the sync board and its driver$/, "检查同步卡及其驱动"],
  [/^add its serial number, or its connector$/, "写上它的序列号或接口"],
  [/^look at its power and cable; its picture comes back with it$/, "检查它的电源和线缆；恢复后画面随之回来"],
  [/^move it aside: (.+)$/, (command) => `把它移开：${command}`],
  [/^name each by its own connector or serial number$/, "分别用各自的接口或序列号命名"],
  [/^plug it back, or set connector: (\S+)$/, (connector) => `插回原处，或设 connector: ${connector}`],
  [/^xrandr --output (\S+) --rate R: the show's rate or a whole multiple of it, to the last digit$/, (output) => `xrandr --output ${output} --rate R：演出的帧率或其整数倍，精确到最后一位`],
  // runtime/references, runtime/rights.py
  [/^look at ptp4l, the grandmaster, the switch and the PTP domain$/, "检查 ptp4l、主时钟、交换机和 PTP 域"],
  [/^phc2sys sets it from PTP; chrony: (`.+`) \(or (`.+`)\); by hand: (`.+`)$/, (one, other, hand) => `phc2sys 按 PTP 设置；chrony：${one}（或 ${other}）；手动：${hand}`],
  [/^start ptp4l and phc2sys \(linuxptp\), or chronyd; `openvolume preflight` shows the state$/, "启动 ptp4l 和 phc2sys（linuxptp），或 chronyd；`openvolume preflight` 显示状态"],
  [/^the clock holds TAI where UTC belongs, or the other way round: .*$/, "时钟把 TAI 当成了 UTC，或相反：phc2sys 需要正确的偏移（只有两边时间尺度相同才用 `-O 0 -S`，否则用 `-w`），主时钟需要有效的 currentUtcOffset"],
  [/^wait; if it stays, look at the network's jitter$/, "等待；若一直如此，检查网络抖动"],
  [/^use 1 to 99$/, "请用 1 到 99"],
  [/^systemd unit: (\S+); login: (.+) in (\S+); container: (\S+ \S+) or (\S+ \S+)$/, (unit, line, file, one, other) => `systemd 单元：${unit}；登录用户：在 ${file} 中写 ${line}；容器：${one} 或 ${other}`],
  [/^another program has it: stop that one, or listen elsewhere$/, "别的程序占用了它：停止那个程序，或换一个地址监听"],
  [/^use an address of this machine, or 0\.0\.0\.0 for all of them$/, "用本机的地址，或用 0.0.0.0 表示全部"],
  [/^give this user the right to it \(group `audio` for sound and MIDI devices\)$/, "给这个用户权限（声音和 MIDI 设备属 `audio` 组）"],
  [/^make it first \(`mkfifo`\), or correct the path$/, "先建立它（`mkfifo`），或改正路径"],
  [/^name a FIFO \(`mkfifo`\) or a device$/, "写明一个 FIFO（`mkfifo`）或设备"],
  [/^pip install openvolume\[audio\], and the system's PortAudio \(libportaudio2\)$/, "pip install openvolume[audio]，并安装系统的 PortAudio（libportaudio2）"],
  [/^`python -m sounddevice` lists what there is$/, "`python -m sounddevice` 列出现有设备"],
  [/^look at the device and the configuration$/, "检查设备和配置"],
  // controller/ndi
  [/^give it a name that no other source here has$/, "给它一个这里没有别的源使用的名称"],
  [/^install the NDI runtime for Linux from ndi\.video .*$/, "从 ndi.video 安装 Linux 的 NDI 运行库（请自行确认其许可），使 `ldconfig -p` 列出 libndi.so；或用 NDI_RUNTIME_DIR_V6 写明它的文件夹"],
  [/^use st2110 or the ring$/, "改用 st2110 或共享内存环"],
];

/** What to do, in the console's language. Commands and paths keep their form in both. */
export const mendWords = (mend: string): string => inWords(MENDS, mend);
