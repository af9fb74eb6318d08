// What the processes of a run are called, and how one ended.

import { inWords, type Form } from "./forms";
import { words } from "./lang.svelte";

const says = words(
  {
    conductor: "conductor", node: "node", service: "service", darkroom: "darkroom", simulator: "simulator", drawer: "drawer", metronome: "metronome", recorder: "recorder", relay: "relay",
    processors: "processors", windows: "windows", sender: "sender", nmos: "NMOS", supervisor: "supervisor", librarian: "librarian", outlet: "outlet", capture: "capture",
  },
  {
    conductor: "指挥进程", node: "节点", service: "服务进程", darkroom: "暗房", simulator: "模拟器", drawer: "离线绘制进程", metronome: "节拍进程", recorder: "记录进程", relay: "转发进程",
    processors: "LED 处理器进程", windows: "窗口进程", sender: "发送进程", nmos: "NMOS 进程", supervisor: "监督进程", librarian: "素材库进程", outlet: "输出进程", capture: "采集进程",
  },
);

/** `node-main` is the node named main. */
export function processWord(name: string): string {
  const [kind = "", ...rest] = name.split("-");
  const known = (says.now as Record<string, string>)[kind];
  return known ? [known, rest.join("-")].filter(Boolean).join(" ") : name;
}

/** controller/processes/supervisor.py */
const EXITS: Form[] = [
  [/^could not start: (.+)$/, (why) => `无法启动：${why}`],
  [/^exit (-?[\d.]+)$/, (code) => `以代码 ${code} 结束`],
  [/^killed by (\S+)$/, (signal) => `被 ${signal} 结束`],
  [/^(.+) \(hung: no heartbeat for ([\d.]+) s\)$/, (how, s) => `没有反应：${s} 秒没有心跳（${exit(how!)}）`],
  [/^(.+) \(hung: no first heartbeat within ([\d.]+) s\)$/, (how, s) => `没有反应：启动 ${s} 秒内没有心跳（${exit(how!)}）`],
  [/^(.+) \((.+)\)$/, (how, why) => `${exit(how!)}（${why}）`],
];
const exit = (how: string): string => inWords(EXITS, how);
export const exitWords = exit;
