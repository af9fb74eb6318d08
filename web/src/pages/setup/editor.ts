// The text editor of the configuration: YAML, what differs from the running show, and what is wrong at its line.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { unifiedMergeView, updateOriginalDoc } from "@codemirror/merge";
import { search, searchKeymap } from "@codemirror/search";
import { ChangeSet, EditorState } from "@codemirror/state";
import { EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Problem } from "../../lib/api";

const look = EditorView.theme(
  {
    "&": { height: "100%", fontSize: "15px", backgroundColor: "#070a0c", color: "var(--text)" },
    ".cm-scroller": { fontFamily: "var(--figures)", lineHeight: "1.5" },
    ".cm-gutters": { backgroundColor: "#0b0f12", color: "#7d8a93", border: "none" },
    ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "#141b20" },
    ".cm-cursor": { borderLeftColor: "var(--accent)" },
    "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
    ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--text)" },
    ".cm-tooltip": { backgroundColor: "var(--raised)", border: "1px solid var(--line)", maxWidth: "560px" },
    ".cm-deletedChunk": { backgroundColor: "#2a1512" },
    "&.cm-merge-b .cm-changedLine": { backgroundColor: "#0f2a20" },
    "&.cm-merge-b .cm-changedText": { background: "#1b5b40" },
  },
  { dark: true },
);
const colours = HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: "#8fd0ec" },
  { tag: tags.comment, color: "#8b9aa4", fontStyle: "italic" },
  { tag: [tags.string, tags.content], color: "#e6dcc4" },
  { tag: [tags.number, tags.bool, tags.null], color: "#f0b48a" },
]);

export class ConfigEditor {
  #view: EditorView;

  constructor(parent: HTMLElement, label: string, text: string, changed: (text: string) => void) {
    // In a shadow of its own the editor's styles are adopted sheets: the page's security policy refuses style tags.
    const root = parent.shadowRoot ?? parent.attachShadow({ mode: "open" });
    const inside = document.createElement("div");
    inside.style.height = "100%";
    root.replaceChildren(inside);
    this.#view = new EditorView({
      parent: inside,
      root,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(), highlightActiveLine(), history(), search({ top: true }), yaml(), look, syntaxHighlighting(colours),
          EditorView.lineWrapping, EditorState.tabSize.of(2),
          // A tab stop that can be seen from outside: the text scrolls by keyboard. Escape, then Tab leaves it.
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", tabindex: "0" }),
          keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap, indentWithTab]),
          unifiedMergeView({ original: text, mergeControls: false, highlightChanges: true, gutter: true }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) changed(update.state.doc.toString());
          }),
        ],
      }),
    });
  }

  get text(): string {
    return this.#view.state.doc.toString();
  }

  /** Another show runs: what is compared with; the text too, unless it was worked on. */
  runs(before: string, now: string): void {
    const doc = EditorState.create({ doc: now }).doc;
    const changes = ChangeSet.of([{ from: 0, to: before.length, insert: now }], before.length);
    this.#view.dispatch({ effects: updateOriginalDoc.of({ doc, changes }) });
  }

  replace(text: string): void {
    this.#view.dispatch({ changes: { from: 0, to: this.#view.state.doc.length, insert: text } });
  }

  mark(problems: Problem[]): void {
    const doc = this.#view.state.doc;
    const marks = problems.filter((one) => one.line != null).map((one): Diagnostic => {
      const line = doc.line(Math.min(Math.max(1, one.line!), doc.lines));
      const message = one.mend ? `${one.detail}\n${one.mend}` : one.detail;
      return { from: line.from + (line.text.length - line.text.trimStart().length), to: line.to, severity: "error", message };
    });
    this.#view.dispatch(setDiagnostics(this.#view.state, marks));
  }

  go(line: number): void {
    const at = this.#view.state.doc.line(Math.min(Math.max(1, line), this.#view.state.doc.lines));
    this.#view.dispatch({ selection: { anchor: at.from }, effects: EditorView.scrollIntoView(at.from, { y: "center" }) });
    this.#view.focus();
  }

  destroy(): void {
    this.#view.destroy();
  }
}
