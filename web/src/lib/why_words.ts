// Why a frame was late, in Chinese: the sentences of controller/ledger_words.py.

import { inChinese, inWords, type Form } from "./forms";
import { exitWords, processWord } from "./process_words";

const side = (word: string | undefined): string => (word === "before" ? "前" : "后");
/** Ends of several causes. */
const READY = ", so it was ready ([\\d.]+ ms) after its slot began \\(([\\d.]+ ms) are forgiven\\)";
const ready = (late: string | undefined, forgiven: string | undefined): string => `时隙开始后 ${late} 才好（容许 ${forgiven}）`;
const ended = (who: string | undefined, how: string | undefined): string => (who ? `：${processWord(who)}已结束${how ? `（${exitWords(how)}）` : ""}` : "");

const STEPS: Form[] = [
  [/^pose waits for the latch$/i, "位姿等待锁存"],
  [/^planning$/i, "规划"],
  [/^plan on its way to the node$/i, "计划送往节点"],
  [/^drawing$/i, "绘制"],
  [/^picture waits for its slot$/i, "画面等待时隙"],
];
const REASONS: Form[] = [
  [/^drawing was late$/, "绘制过晚"],
  [/^the plan was late$/, "规划过晚"],
  [/^the machine stood still$/, "机器停顿"],
  [/^no plan came$/, "没有收到规划"],
  [/^switching the configuration$/, "正在切换配置"],
  [/^HOLD was ordered$/, "下达了定格命令"],
  [/^a node, or what shows it on monitors, was away$/, "节点或其显示窗口不在"],
  [/^an engine's picture was late$/, "外部引擎的画面来晚"],
  [/^no reason told$/, "未说明原因"],
];
const SENT: Form[] = [
  [/^packets left late, or an older picture in its place$/, "数据包发送迟到，或以更早的画面代替"],
  [/^the picture before was sent again, because none came in time$/, "重发了上一张画面，因为没有新画面及时到达"],
  [/^the picture before was sent again, because HOLD was ordered$/, "重发了上一张画面，因为下达了定格命令"],
  [/^part of the picture before was in it$/, "其中混有上一张画面的一部分"],
  [/^nothing was sent, because the sender was away$/, "什么也没有发送，因为发送进程不在"],
];
const EVENTS: Form[] = [
  [/^ended$/, "已结束"],
  [/^was started$/, "已启动"],
  [/^ended the run$/, "结束了本次运行"],
  [/^was not sent as it should have been$/, "没有按应有的方式发送"],
];
const CAUSES: Form[] = [
  [/^HOLD was ordered$/, "下达了定格命令"],
  [/^the machine stood still for at least ([\d.]+ ms) while it was made$/, (ms) => `制作时机器停顿至少 ${ms}`],
  [/^the machine had stood still for at least ([\d.]+ ms) just before$/, (ms) => `在此之前机器停顿至少 ${ms}`],
  [/^the machine woke the node too late .*$/, "机器唤醒节点太晚（时间短到节拍进程察觉不到，或别的程序占用了它）"],
  [/^an engine that draws for it had no picture in time: its last one stayed up$/, "外部引擎没有及时交出画面：保持其最后一张"],
  [/^the node was loading configuration ([\d.]+), .*$/, (n) => `节点正在载入事先没有告知的配置 ${n}`],
  [/^it was handed over, and not seen on every monitor(?:: (\S+) had ended \((.*)\))?$/, (who, how) => `已交出，但不是每台显示器都显示了${ended(who, how)}`],
  [/^no node reported it(?:: (\S+) had ended \((.*)\))?$/, (who, how) => `没有节点报告它${ended(who, how)}`],
  [/^no plan was published for it$/, "没有为它发布计划"],
  [/^its plan was published ([\d.]+ ms) (before|after) the slot$/, (ms, when) => `它的计划在时隙${side(when)} ${ms} 才发布`],
  [/^its plan was published ([\d.]+ ms) (before|after) the slot, and drawing usually takes ([\d.]+ ms)$/, (ms, when, draw) => `它的计划在时隙${side(when)} ${ms} 才发布，绘制平时用 ${draw}`],
  [/^its plan was published ([\d.]+ ms) (before|after) the slot(?:, and drawing usually takes ([\d.]+ ms))?: the conductor came to latch it ([\d.]+ ms) later than usual$/, (ms, when, draw, late) => `它的计划在时隙${side(when)} ${ms} 才发布${draw ? `，绘制平时用 ${draw}` : ""}：指挥进程锁存比平时晚 ${late}`],
  [/^its plan was published ([\d.]+ ms) (before|after) the slot(?:, and drawing usually takes ([\d.]+ ms))?: planning took ([\d.]+ ms), usually ([\d.]+ ms)$/, (ms, when, draw, plan, usual) => `它的计划在时隙${side(when)} ${ms} 才发布${draw ? `，绘制平时用 ${draw}` : ""}：规划用了 ${plan}，平时 ${usual}`],
  [new RegExp(`^its drawing took ([\\d.]+ ms)${READY}$`), (ms, late, forgiven) => `绘制用了 ${ms}，${ready(late, forgiven)}`],
  [new RegExp(`^it was begun too late for a drawing that took ([\\d.]+ ms) as usual: its poses were latched ([\\d.]+ ms) before the slot${READY}$`), (ms, lead, late, forgiven) => `开始得太晚：绘制如平时用了 ${ms}，位姿在时隙前 ${lead} 锁存，${ready(late, forgiven)}`],
  [new RegExp(`^drawing on node (\\S+) took ([\\d.]+ ms) instead of the usual ([\\d.]+ ms)${READY}$`), (node, ms, usual, late, forgiven) => `节点 ${node} 的绘制用了 ${ms}，平时 ${usual}，${ready(late, forgiven)}`],
  [new RegExp(`^the node began to draw it ([\\d.]+ ms) after its plan was there(?: \\(it was still drawing frame ([\\d.]+)\\))?${READY}$`), (ms, busy, late, forgiven) => `计划到达 ${ms} 后节点才开始画${busy ? `（还在画第 ${busy} 帧）` : ""}，${ready(late, forgiven)}`],
  [new RegExp(`^planning took ([\\d.]+ ms) instead of the usual ([\\d.]+ ms)${READY}$`), (ms, usual, late, forgiven) => `规划用了 ${ms}，平时 ${usual}，${ready(late, forgiven)}`],
  [/^the picture of frame ([\d.]+) had come late and took its place: there was no time to draw both$/, (n) => `第 ${n} 帧的画面来晚，占了它的位置：来不及画两张`],
  [/^the node was still drawing frame ([\d.]+), which took ([\d.]+ ms)$/, (n, ms) => `节点还在画第 ${n} 帧，用了 ${ms}`],
  [/^(.+), and the node told no times$/, (reason) => `${inChinese(REASONS, reason!)}，节点没有报告时间`],
];
const FORMS: Form[] = [
  [/^Frame ([\d.]+) has not been reported yet\.$/, (n) => `第 ${n} 帧还没有报告。`],
  [/^Frame ([\d.]+) was shown in its slot; it was ready ([\d.]+ ms) before it had to be\.$/, (n, ms) => `第 ${n} 帧按时显示；比期限早 ${ms} 准备好。`],
  [/^Frame ([\d.]+) was shown in its slot; it was ready ([\d.]+ ms) after the slot began, which is still in time\.$/, (n, ms) => `第 ${n} 帧按时显示；时隙开始后 ${ms} 准备好，仍算及时。`],
  [/^Frame ([\d.]+) was shown in its slot, as a picture the node made from the plan before, .*\.$/, (n) => `第 ${n} 帧按时显示；它的计划没有到，由节点按前一个计划制作。`],
  [/^Frame ([\d.]+) was shown in its slot\.$/, (n) => `第 ${n} 帧按时显示。`],
  [/^Frame ([\d.]+) was not shown in its slot: the walls showed the picture of (?:frame ([\d.]+)|an earlier frame), because (.+)\.$/, (n, shown, cause) => `第 ${n} 帧没有按时显示：屏幕上是${shown ? `第 ${shown} 帧` : "更早"}的画面。原因：${inChinese(CAUSES, cause!)}。`],
  [/^(\S+) waited ([\d.]+ ms) for a processor in the half second about it\.$/, (who, ms) => `前后半秒内，${processWord(who!)} 等待处理器 ${ms}。`],
  [/^The machine stood still for at least ([\d.]+ ms)(?:, from ([\d.]+ ms) (before|after) the slot on)? \(the metronome's figure\)\.$/, (ms, from, when) => `机器停顿至少 ${ms}${from ? `，从时隙${side(when)} ${from} 开始` : ""}（由节拍进程测得）。`],
  [/^The hypervisor gave ([\d.]+ ms) of processor time to other machines then\.$/, (ms) => `当时虚拟化平台把 ${ms} 的处理器时间给了其他机器。`],
  [/^The configuration was switched with it: ([\d.]+) after ([\d.]+)\.$/, (now, last) => `配置在这一帧切换：${last} 之后是 ${now}。`],
  [/^The show was changed with it: revision ([\d.]+) after ([\d.]+)\.$/, (now, last) => `演出在这一帧有改动：版本 ${last} 之后是 ${now}。`],
  [/^The frame rate was changed with it\.$/, "帧率在这一帧改变。"],
  [/^The outer picture was drawn anew in it, which most frames do not do\.$/, "这一帧重新绘制了外画面，多数帧不画。"],
  [/^The inner picture of camera (\S+) was larger than usual: (\S+) x (\S+), (\S+) times the pixels\.$/, (camera, w, h, times) => `摄影机 ${camera} 的内画面比平时大：${w} × ${h}，像素为 ${times} 倍。`],
  [/^Camera (\S+) had no tracking\.$/, (camera) => `摄影机 ${camera} 没有追踪数据。`],
  [/^Camera (\S+) followed packet (\S+) of (\S+), which had come (-?[\d.]+ ms) before the latch; its pose was (-?[\d.]+ ms) old at the photo(?:; its pose was (\S+))?\.$/, (camera, packet, source, ms, age, quality) => `摄影机 ${camera} 用的是 ${source} 的第 ${packet} 个数据包，锁存前 ${ms} 到达；拍摄时位姿已有 ${age}${quality ? `（${QUALITY[quality] ?? quality}）` : ""}。`],
  [/^Its plan was published ([\d.]+ ms) (before|after) the slot; drawing usually takes ([\d.]+ ms)\.$/, (ms, when, usual) => `它的计划在时隙${side(when)} ${ms} 发布；绘制平时用 ${usual}。`],
  [/^(.+) took ([\d.]+ ms), usually ([\d.]+ ms) \((\S+?)(?: (\S+))?\)\.$/, (what, ms, usual, who, node) => `${inChinese(STEPS, what!)}用了 ${ms}，平时 ${usual}（${processWord([who, node].filter(Boolean).join("-"))}）。`],
  [/^On the network: (.+) \(canvas (\S+)\)\.$/, (what, canvas) => `网络上：${inChinese(SENT, what!)}（画布 ${canvas}）。`],
  [/^No other slot within half a second was missed\.$/, "前后半秒内没有其他时隙丢失。"],
  [/^([\d.]+) other slots? (?:was|were) missed within half a second of it\.$/, (n) => `前后半秒内另有 ${n} 个时隙丢失。`],
  [/^(\S+) (ended the run|ended|was started|was not sent as it should have been|\S+)(?: \((.*)\))? (?:then|([\d.]+) s (before|after) it)\.$/, (who, what, detail, s, when) => `${s ? `${side(when) === "前" ? "此前" : "此后"} ${s} 秒` : "当时"}，${processWord(who!)} ${inChinese(EVENTS, what!)}${detail ? `（${exitWords(detail)}）` : ""}。`],
];
const QUALITY: Record<string, string> = { coasting: "惯性推算", lost: "丢失", bad: "不可信", untracked: "未追踪", held: "保持" };

/** One sentence of why, in the console's language. */
export const whyWords = (sentence: string): string => inWords(FORMS, sentence);
