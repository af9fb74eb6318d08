// Refusals in the operator's words. The service answers in English with path, value and mend (RFC 9457); what the
// console says of the usual ones is here, by code, else by HTTP status. The service's own words are added where they
// tell more.

import { language, words } from "./lang.svelte";
import type { Problem } from "./api";

const says = words(
  {
    atMost: (most: string) => `${most} at most`, atLeast: (least: string) => `${least} at least`, more: (most: string) => `more than ${most}`, less: (least: string) => `less than ${least}`,
    value: "this value is not taken",
  },
  {
    atMost: (most: string) => `最大 ${most}`, atLeast: (least: string) => `最小 ${least}`, more: (most: string) => `须大于 ${most}`, less: (least: string) => `须小于 ${least}`,
    value: "不接受这个值",
  },
);

/** `plain`: the Chinese sentence says it all; else the service's own words follow it. */
const CHINESE: Record<string, [text: string, plain?: "plain"]> = {
  "controller.unknown_address": ["没有这个对象，可能刚被删除"],
  "controller.bad_value": ["不接受这个值"],
  "controller.bad_request": ["请求有误"],
  "controller.change_refused": ["这项改动被拒绝；一切照旧"],
  "controller.change_timed_out": ["改动没有及时完成；一切照旧，请再试一次", "plain"],
  "controller.conductor_absent": ["指挥进程不在；它会自动重启，请稍后再试", "plain"],
  "controller.darkroom_absent": ["暗房进程不在；它会自动重启，请稍后再试", "plain"],
  "controller.forbidden": ["不接受来自这里的请求"],
  "controller.unauthorized": ["请先登录", "plain"],
  "controller.not_allowed": ["您的角色不能做这件事"],
  "controller.show_locked": ["演出已锁：等本条结束，或写明原因强制打开"],
  "controller.stale": ["其间有别人改过；请看过新的内容再试"],
  "controller.needs_if_match": ["须说明是基于哪个版本的改动"],
  "controller.nothing_to_go": ["没有下一个提示点", "plain"],
  "controller.nothing_to_undo": ["没有可以撤销的改动", "plain"],
  "controller.no_picture": ["还没有画面"],
  "controller.look_still": ["无法画出这个外观的静帧"],
  "controller.photo": ["照片没有做成"],
  "controller.preflight_failed": ["开演前检查没有完成"],
  "controller.store": ["无法保存：请检查磁盘空间"],
  "controller.show_file": ["演出文件有误"],
  "controller.recording": ["录制没有成功"],
  "controller.take_replay": ["这一条不能重放"],
  "controller.replay": ["重放没有成功"],
  "controller.capture": ["离线录制没有成功"],
  "controller.library": ["场景库没有完成这项任务"],
  "controller.scene_memory": ["显存不够装下这个场景"],
  "controller.processor": ["LED 处理器没有完成这项操作"],
  "controller.processor_answer": ["LED 处理器的应答无法理解"],
  "controller.processor_busy": ["LED 处理器忙，请稍后再试"],
  "controller.processor_locked": ["LED 处理器被另一台主机占用"],
  "controller.processor_refused": ["LED 处理器拒绝了"],
  "controller.processor_unreachable": ["LED 处理器没有应答"],
  "controller.not_connected": ["这条网络流没有连接"],
  "controller.too_fast": ["太快了，请稍等再试", "plain"],
  "controller.too_large": ["内容太大"],
  "controller.too_many": ["连接太多，请关闭其他页面"],
  "controller.too_slow": ["传输太慢，请再试一次", "plain"],
  "controller.media_type": ["不接受这种格式"],
  "stage.config": ["配置有误"],
  "tracking.unknown_source": ["没有这个追踪源"],
  "runtime.clock_state": ["现在不能调整时间"],
};
const BY_STATUS: Record<number, string> = {
  400: "请求有误", 401: "请先登录", 403: "不允许", 404: "没有这个对象", 408: "传输太慢，请再试一次", 409: "现在不能这样做", 412: "其间有别人改过", 413: "内容太大", 414: "地址太长", 415: "不接受这种格式", 422: "不接受这个值", 423: "演出已锁", 428: "须说明版本",
  429: "太快了，请稍等再试", 431: "请求头太大", 500: "服务出错；请查看日志", 502: "设备的应答无法理解", 503: "暂时不可用，请稍后再试", 504: "没有及时完成，请再试一次", 507: "无法保存：请检查磁盘空间",
};

/** A limit in words, of what the checker says of it ("Expected `float` <= 80.0 - at `$[0]`"); null: it is no limit. */
function limit(detail: string): string | null {
  const found = /^Expected `(?:float|int)` (<=|>=|<|>) (-?[\d.]+)/.exec(detail);
  if (!found) return detail.startsWith("Invalid enum value") || detail.startsWith("Expected `") ? says.now.value : null;
  const number = String(Number(found[2]));
  const t = says.now;
  return { "<=": t.atMost, ">=": t.atLeast, "<": t.less, ">": t.more }[found[1]!]!(number);
}

/** What is wrong, where, and what to do, as one text. */
export function refusal(problem: Problem): string {
  const bound = problem.code === "controller.bad_value" ? limit(problem.detail) : null;
  if (language.code !== "zh") {
    const what = bound ? `${problem.path ?? ""}: ${bound}` : problem.detail;
    return problem.mend ? `${what.replace(/[.。]$/, "")}. ${problem.mend}` : what;
  }
  const [text, plain] = CHINESE[problem.code ?? ""] ?? [BY_STATUS[problem.status] ?? ""];
  if (bound) return `${problem.path ?? ""}：${bound}`;
  if (!text) return problem.detail;
  return plain ? `${text}。` : `${text}（${problem.detail}）`;
}
