// Keyboard shortcuts: each part says which it has while it is there; the help sheet lists them all.

export interface Shortcut {
  /** As `KeyboardEvent.key`, lower case; `shift+` before it where that is held. */
  key: string;
  /** For the sheet. */
  about: () => string;
  run: (event: KeyboardEvent) => void;
  /** The strip's keys come first on the sheet. */
  everywhere?: boolean;
}

class Keys {
  list = $state.raw<Shortcut[]>([]);

  /** Adds shortcuts; returns what takes them away again (for `$effect` and `onMount`). */
  add(...more: Shortcut[]): () => void {
    this.list = [...this.list, ...more];
    return () => {
      this.list = this.list.filter((one) => !more.includes(one));
    };
  }

  press = (event: KeyboardEvent): void => {
    if (event.repeat && !event.key.startsWith("Arrow")) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return; // Escape closes it, and gives no order
    const target = event.composedPath()[0]; // the editor lies in a shadow of its own
    if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return;
    if (target instanceof HTMLElement && target.isContentEditable) return; // the configuration's editor
    if (target instanceof HTMLInputElement && !["range", "checkbox", "radio", "color"].includes(target.type)) return;
    // A button that was gone to by keyboard keeps its own keys; one that was only clicked does not: Space is GO.
    if ((event.key === " " || event.key === "Enter") && target instanceof HTMLElement && target.closest("button, a, summary, [role=button], input:not([type=range])") && target.matches(":focus-visible")) return;
    if (event.key.startsWith("Arrow") && target instanceof HTMLInputElement) return;
    const plain = event.key.toLowerCase();
    const key = event.shiftKey && plain.length > 1 ? `shift+${plain}` : plain;
    // What was added last (the page) goes before what is everywhere.
    const found = this.list.findLast((one) => one.key === key);
    if (!found) return;
    event.preventDefault();
    found.run(event);
  };
}

export const keys = new Keys();

const NAMES: Record<string, string> = { " ": "Space", escape: "Esc", arrowup: "↑", arrowdown: "↓", arrowleft: "←", arrowright: "→", enter: "Enter", backspace: "Backspace" };
export const keyName = (key: string): string =>
  key.split("+").map((part) => (part === "shift" ? "Shift" : NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part))).join(" ");
