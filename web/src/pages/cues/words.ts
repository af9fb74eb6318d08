import { words } from "../../lib/lang.svelte";

export const says = words(
  {
    cues: "Cues", go: "GO", back: "BACK", stop: "Stop what waits", chase: "By time code", next: "next", current: "on", end: "The list is at its end.", empty: "No cues yet. The first one is made of what is on the walls now.",
    make: "New cue", edit: "Edit", save: "Save", remove: "Delete", cancel: "Cancel", number: "Number", label: "Label", notes: "Notes", seconds: "Time", delay: "Delay", curve: "Curve", follow: "The next one goes", followS: "after",
    none: "by GO", with: "with it", after: "after it", timecode: "Time code", changes: "What it changes", value: "Value", address: "Address", add: "Add", take: "Take what is on now", willChange: "What GO changes", nothing: "Nothing would change.", before: "now", afterward: "then",
    goTo: "Go to it", up: "Earlier", down: "Later", waits: (id: string) => `${id} goes by itself`, problem: "A cue did not go", badValue: "This is no value: numbers, true, false, or text.", now: (n: string) => `Cue ${n}`, nowNone: "No cue has gone yet.", nextNone: "Make the first cue.",
    keyGo: "GO", keyBack: "BACK", keyUp: "Choose the cue before", keyDown: "Choose the cue after", keyGoTo: "Go to the chosen cue", keyNew: "New cue", keyEdit: "Edit the chosen cue",
    linear: "linear", smooth: "smooth", ease_in: "ease in", ease_out: "ease out", s_curve: "s-curve", cut_at_end: "cut at the end",
  },
  {
    cues: "提示点", go: "GO", back: "后退", stop: "停止等待", chase: "跟随时间码", next: "下一个", current: "当前", end: "列表已到末尾。", empty: "还没有提示点。第一个可由当前屏幕状态生成。",
    make: "新建提示点", edit: "编辑", save: "保存", remove: "删除", cancel: "取消", number: "编号", label: "名称", notes: "备注", seconds: "时间", delay: "延迟", curve: "曲线", follow: "下一个执行方式", followS: "之后",
    none: "按 GO", with: "同时", after: "随后", timecode: "时间码", changes: "改变内容", value: "数值", address: "地址", add: "添加", take: "取当前状态", willChange: "GO 会改变什么", nothing: "不会有变化。", before: "现在", afterward: "之后",
    goTo: "执行它", up: "上移", down: "下移", waits: (id: string) => `${id} 将自动执行`, problem: "有提示点未执行", badValue: "不是有效数值：数字、true、false 或文字。", now: (n: string) => `提示点 ${n}`, nowNone: "还没有执行过提示点。", nextNone: "请新建第一个提示点。",
    keyGo: "GO", keyBack: "后退", keyUp: "选择上一个提示点", keyDown: "选择下一个提示点", keyGoTo: "执行选中的提示点", keyNew: "新建提示点", keyEdit: "编辑选中的提示点",
    linear: "线性", smooth: "平滑", ease_in: "渐入", ease_out: "渐出", s_curve: "S 曲线", cut_at_end: "结束时切换",
  },
);
