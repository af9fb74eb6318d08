// Why a frame was late, in Chinese. The service tells it in English sentences (controller/ledger_words.py) that keep
// their form; each form stands here with its Chinese. A sentence of another form is shown as it was told.

import { language } from "./lang.svelte";

type Form = [form: RegExp, chinese: (...parts: string[]) => string];

const side = (word: string | undefined): string => (word === "before" ? "前" : "后");
const STEPS: Record<string, string> = {
  wait: "位姿等待锁存", plan: "规划", "hand-over": "交接", "picture waits for its slot": "画面等待时隙", "pose waits for the latch": "位姿等待锁存", draw: "绘制", planning: "规划", drawing: "绘制",
};
const step = (word: string): string => STEPS[word.toLowerCase()] ?? word;

const CAUSES: Form[] = [
  [/^HOLD was ordered$/, () => "下达了定格命令"],
  [/^the machine stood still(?: for at least ([\d.]+ ms) while it was made)?$/, (ms) => (ms ? `制作时机器停顿至少 ${ms}` : "机器停顿")],
  [/^an engine that draws for it had no picture in time.*$/, () => "外部引擎没有及时交出画面：保持其最后一张"],
  [/^the node was loading configuration (\d+).*$/, (n) => `节点正在载入配置 ${n}`],
  [/^it was handed over, and not seen on every monitor(?:: (.+) had ended.*)?$/, (who) => `已交出，但不是每台显示器都显示了${who ? `：${who} 已结束` : ""}`],
  [/^no node reported it(?:: (.+) had ended.*)?$/, (who) => `没有节点报告它${who ? `：${who} 已结束` : ""}`],
  [/^no plan was published for it$/, () => "没有为它发布计划"],
  [/^the picture of frame (\d+) had come late.*$/, (n) => `第 ${n} 帧的画面来晚，占了它的位置：来不及画两张`],
  [/^the node was still drawing frame (\d+), which took (.+)$/, (n, ms) => `节点还在画第 ${n} 帧，用了 ${ms}`],
  [/^the machine had stood still for at least (.+) just before$/, (ms) => `在此之前机器停顿至少 ${ms}`],
  [/^the machine woke the node too late.*$/, () => "机器唤醒节点太晚（别的程序占用了它）"],
  [/^its drawing took ([\d.]+ ms), so it was ready ([\d.]+ ms) after its slot began.*$/, (ms, late) => `绘制用了 ${ms}，时隙开始后 ${late} 才好`],
  [/^drawing on node (\S+) took ([\d.]+ ms) instead of the usual ([\d.]+ ms), so it was ready ([\d.]+ ms) after.*$/, (node, ms, usual, late) => `节点 ${node} 的绘制用了 ${ms}，平时 ${usual}，时隙开始后 ${late} 才好`],
  [/^the node began to draw it ([\d.]+ ms) after its plan was there.*so it was ready ([\d.]+ ms) after.*$/, (ms, late) => `计划到达 ${ms} 后节点才开始画，时隙开始后 ${late} 才好`],
  [/^planning took ([\d.]+ ms) instead of the usual ([\d.]+ ms).*$/, (ms, usual) => `规划用了 ${ms}，平时 ${usual}`],
  [/^it was begun too late for a drawing that took ([\d.]+ ms) as usual.*$/, (ms) => `开始得太晚：绘制如平时用了 ${ms}`],
  [/^its plan was published ([\d.]+ ms) (before|after) the slot(.*)$/, (ms, when) => `它的计划在时隙${side(when)} ${ms} 才发布`],
];
const FORMS: Form[] = [
  [/^Frame (\d+) has not been reported yet\.$/, (n) => `第 ${n} 帧还没有报告。`],
  [/^Frame (\d+) was shown in its slot; it was ready ([\d.]+ ms) before it had to be\.$/, (n, ms) => `第 ${n} 帧按时显示；比期限早 ${ms} 准备好。`],
  [/^Frame (\d+) was shown in its slot; it was ready ([\d.]+ ms) after the slot began, which is still in time\.$/, (n, ms) => `第 ${n} 帧按时显示；时隙开始后 ${ms} 准备好，仍算及时。`],
  [/^Frame (\d+) was shown in its slot, as a picture the node made.*$/, (n) => `第 ${n} 帧按时显示；它的计划没有到，由节点按前一个计划制作。`],
  [/^Frame (\d+) was shown in its slot\.$/, (n) => `第 ${n} 帧按时显示。`],
  [/^Frame (\d+) was not shown in its slot: the walls showed the picture of (?:frame (\d+)|an earlier frame), because (.+)\.$/, (n, shown, cause) => `第 ${n} 帧没有按时显示：屏幕上是${shown ? `第 ${shown} 帧` : "更早"}的画面。原因：${said(CAUSES, cause!)}。`],
  [/^(\S+) waited ([\d.]+ ms) for a processor in the half second about it\.$/, (who, ms) => `前后半秒内，${who} 等待处理器 ${ms}。`],
  [/^The machine stood still for at least ([\d.]+ ms)(?:, from ([\d.]+ ms) (before|after) the slot on)?.*$/, (ms, from, when) => `机器停顿至少 ${ms}${from ? `，从时隙${side(when)} ${from} 开始` : ""}（由节拍进程测得）。`],
  [/^The hypervisor gave ([\d.]+ ms) of processor time to other machines then\.$/, (ms) => `当时虚拟化平台把 ${ms} 的处理器时间给了其他机器。`],
  [/^The configuration was switched with it: (\d+) after (\d+)\.$/, (now, last) => `配置在这一帧切换：${last} 之后是 ${now}。`],
  [/^The show was changed with it: revision (\d+) after (\d+)\.$/, (now, last) => `演出在这一帧有改动：版本 ${last} 之后是 ${now}。`],
  [/^The frame rate was changed with it\.$/, () => "帧率在这一帧改变。"],
  [/^The outer picture was drawn anew in it.*$/, () => "这一帧重新绘制了外画面，多数帧不画。"],
  [/^The inner picture of camera (\S+) was larger than usual: (.+), (\S+) times the pixels\.$/, (camera, size, times) => `摄影机 ${camera} 的内画面比平时大：${size}，像素为 ${times} 倍。`],
  [/^Camera (\S+) had no tracking\.$/, (camera) => `摄影机 ${camera} 没有追踪数据。`],
  [/^Camera (\S+) followed packet (\d+) of (\S+), which had come (\S+ ms) before the latch; its pose was (\S+ ms) old at the photo(?:; its pose was (\w+))?\.$/, (camera, packet, source, ms, age, quality) => `摄影机 ${camera} 用的是 ${source} 的第 ${packet} 个数据包，锁存前 ${ms} 到达；拍摄时位姿已有 ${age}${quality ? `（${quality}）` : ""}。`],
  [/^Its plan was published ([\d.]+ ms) (before|after) the slot; drawing usually takes ([\d.]+ ms)\.$/, (ms, when, usual) => `它的计划在时隙${side(when)} ${ms} 发布；绘制平时用 ${usual}。`],
  [/^(.+) took ([\d.]+ ms), usually ([\d.]+ ms) \((.+)\)\.$/, (what, ms, usual, who) => `${step(what!)}用了 ${ms}，平时 ${usual}（${who}）。`],
  [/^No other slot within half a second was missed\.$/, () => "前后半秒内没有其他时隙丢失。"],
  [/^(\d+) other slots? (?:was|were) missed within half a second of it\.$/, (n) => `前后半秒内另有 ${n} 个时隙丢失。`],
];

function said(forms: Form[], sentence: string): string {
  for (const [form, chinese] of forms) {
    const found = form.exec(sentence);
    if (found) return chinese(...found.slice(1));
  }
  return sentence;
}

/** One sentence of why, in the console's language. */
export const whyWords = (sentence: string): string => (language.code === "zh" ? said(FORMS, sentence) : sentence);
