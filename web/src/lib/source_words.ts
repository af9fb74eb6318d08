// How a tracking source stands and why, in Chinese: tracking/health.py, and what packets are refused for.

import { inChinese, inWords, type Form } from "./forms";

const REFUSALS: Form[] = [
  [/^short$/, "数据太短"],
  [/^long$/, "数据太长"],
  [/^magic$/, "不是这个协议"],
  [/^checksum$/, "校验和不符"],
  [/^version$/, "协议版本未知"],
  [/^encoding$/, "编码未知"],
  [/^schema$/, "字段缺失或类型不符"],
  [/^type$/, "OSC 参数不符"],
  [/^range$/, "数值超出范围"],
  [/^nan$/, "不是有限的数"],
  [/^depth$/, "嵌套太深"],
  [/^malformed$/, "无法解码"],
  [/^other_message$/, "不含位姿的消息"],
  [/^segment$/, "分段没有收齐"],
  [/^duplicate$/, "重复"],
  [/^not_allowed$/, "发送者不在允许名单"],
  [/^rate$/, "超过频率上限"],
  [/^second_sender$/, "另有发送者"],
  [/^not_mine$/, "属于另一台摄影机"],
  [/^late$/, "来得太晚"],
  [/^speed$/, "跳变过快"],
  [/^untracked$/, "追踪器看不到它"],
];
const STATES: Form[] = [
  [/^nothing received yet$/, "还没有收到数据"],
  [/^nothing received$/, "没有收到数据"],
  [/^samples arrive$/, "正在收到数据"],
  [/^no sample for (\S+) periods$/, (n) => `已有 ${n} 个周期没有数据`],
  [/^([a-z_]+)(?:: (.+))?$/, (reason, detail) => `${inChinese(REFUSALS, reason!)}${detail ? `（${detail}）` : ""}`],
];

/** Why a packet was not used. */
export const refusedWord = (reason: string): string => inWords(REFUSALS, reason);
/** Why a source stands as it does. */
export const sourceWords = (reason: string): string => inWords(STATES, reason);
